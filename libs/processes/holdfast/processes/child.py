"""One process of a service, from its supervisor's side: started, listened to, asked, ended."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import structlog

from holdfast.processes.words import HEADER, VARIABLE, Word, frame, opened

# A process makes its text within milliseconds, in a thread; one that computes without a pause shares its time.
TELL_S = 1.0

log: structlog.stdlib.BoundLogger = structlog.get_logger("holdfast.processes")


class Child:
    """A place for one process at a time; `ready` is set while the one in it serves."""

    def __init__(self, number: int, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.number = number
        self.ready = asyncio.Event()
        self.starts = 0
        # Pings since it was last heard. Counted, not timed: a supervisor that was stopped itself has asked nothing.
        self.unanswered = 0
        self._command, self._environment = list(command), dict(environment)
        self._process: asyncio.subprocess.Process | None = None
        self._line: asyncio.StreamWriter | None = None
        # Whether the one in it has ever said that it serves: from then on it reads its line.
        self._has_served = False
        # What whoever is in it has been told, and whoever is just being started will be.
        self._ending: Word | None = None
        self._telling: asyncio.Future[bytes | None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that is in it, if there is one."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def run(
        self,
        listener: int,
        *,
        on_draining: Callable[[], object],
        everyone: Callable[[], Awaitable[bytes]],
    ) -> int:
        """Start a process and wait for its end; return its status, negative for the signal that ended it.

        `listener` is the descriptor of its socket, -1 for none. Raises OSError when it can't be started.
        """
        ours, its = socket.socketpair()
        environment = {
            **self._environment,
            VARIABLE: f"{its.fileno()},{listener},{self.number}",
        }
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[its.fileno(), *([listener] if listener >= 0 else [])],
                # Ctrl-C in a terminal is for the supervisor, who ends its processes in order.
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            its.close()
        self.starts += 1
        self.unanswered = 0
        self._has_served = False
        reader, self._line = await asyncio.open_connection(sock=ours)
        if self._ending is not None:
            # Said while it was being started, when there was nobody yet to hear it.
            self._end(self._ending)
        listening = asyncio.create_task(self._listen(reader, on_draining, everyone))
        try:
            return await self._process.wait()
        finally:
            listening.cancel()
            self.ready.clear()
            self._line.close()
            self._line = None
            self._forget()

    def drain(self) -> None:
        """Tell it to end in order; one that is being started is told when it is there."""
        self._end(Word.DRAIN)

    def leave(self) -> None:
        """Tell it to end at once; one that is being started is told when it is there."""
        self._end(Word.LEAVE)

    def ping(self) -> None:
        """Ask whether it is there."""
        self.unanswered += 1
        self._say(Word.PING)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def metrics(self) -> bytes | None:
        """Return what it counts; None when it doesn't tell in time."""
        if not self.ready.is_set():
            return None
        self._telling = asyncio.get_running_loop().create_future()
        self._say(Word.TELL)
        try:
            async with asyncio.timeout(TELL_S):
                return await self._telling
        except TimeoutError:
            return None

    async def _listen(
        self,
        reader: asyncio.StreamReader,
        on_draining: Callable[[], object],
        everyone: Callable[[], Awaitable[bytes]],
    ) -> None:
        answering = set[asyncio.Task[None]]()
        try:
            while True:
                kind, length = opened(await reader.readexactly(HEADER.size))
                payload = await reader.readexactly(length)
                self.unanswered = 0
                match kind:
                    case Word.READY:
                        self._has_served = True
                        self.ready.set()
                    case Word.DRAINING:
                        self.ready.clear()
                        on_draining()
                    case Word.TOLD if self._telling is not None and not self._telling.done():
                        self._telling.set_result(payload)
                    case Word.EVERYONE:
                        answer = asyncio.create_task(self._answer(everyone))
                        answering.add(answer)
                        answer.add_done_callback(answering.discard)
                    case _:
                        pass
        except asyncio.IncompleteReadError:
            return  # its end says why
        except (OSError, ValueError) as error:
            log.warning("process.unheard", process=self.number, error=str(error))

    async def _answer(self, everyone: Callable[[], Awaitable[bytes]]) -> None:
        self._say(Word.ALL, await everyone())

    def _end(self, word: Word) -> None:
        self._ending = word
        if self._line is None:
            return
        # Waits in the line of one that doesn't read it yet, so what it starts with may swallow the signal.
        self._say(word)
        if not self._has_served:
            # It has nothing to lose. One that drains by itself does: to it a signal may be the second, which cuts.
            self.send(signal.SIGTERM)

    def _say(self, word: Word, payload: bytes = b"") -> None:
        # Never waits: what a process doesn't take is bounded by what it asks for and by the pings of a minute.
        if self._line is not None and not self._line.is_closing():
            self._line.write(frame(word, payload))

    def _forget(self) -> None:
        if self._telling is not None and not self._telling.done():
            self._telling.set_result(None)
        self._telling = None
