"""The line of a process to its supervisor, from the process' side.

A thread of its own answers: a process whose event loop is busy still tells its metrics. Where the supervisor is gone,
the line is cut and the process ends in order: it would hold the port that the next one needs.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from typing import Self

import structlog

from holdfast.processes.words import HEADER, VARIABLE, Word, frame, opened

# The supervisor gives each process a second; beyond this it has other troubles.
EVERYONE_S = 3.0

log: structlog.stdlib.BoundLogger = structlog.get_logger("holdfast.processes")


class SupervisorSilent(Exception):
    """The supervisor didn't tell what all processes count."""


class Link:
    """A process' line to its supervisor: `serve` listens, `ready` and `draining` tell."""

    def __init__(self, line: socket.socket, listener: socket.socket | None, number: int) -> None:
        self.listener, self.number = listener, number
        self._line = line
        self._sending = threading.Lock()
        self._asked: list[asyncio.Future[bytes]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def of_environment(cls) -> Self | None:
        """Return the line that this process was started with; None for one that runs alone.

        Taken once: what this process itself starts has no part in it.
        """
        told = os.environ.pop(VARIABLE, None)
        if told is None:
            return None
        line, listener, number = (int(word) for word in told.split(","))
        for descriptor in (line, listener):
            if descriptor >= 0:
                os.set_inheritable(descriptor, False)
        structlog.contextvars.bind_contextvars(process=number)
        return cls(
            socket.socket(fileno=line),
            None if listener < 0 else socket.socket(fileno=listener),
            number,
        )

    def serve(
        self,
        *,
        metrics: Callable[[], bytes],
        drain: Callable[[], object],
        leave: Callable[[], object],
    ) -> None:
        """Listen from now on, in a thread, and say that the process serves. Call it in the event loop.

        All three are called in that thread; `drain` may be called more than once, and once the process ends anyway.
        """
        self._loop = asyncio.get_running_loop()

        def answer() -> None:
            try:
                while (heard := self._heard()) is not None:
                    kind, payload = heard
                    match kind:
                        case Word.PING:
                            self._say(Word.PONG)
                        case Word.TELL:
                            self._say(Word.TOLD, metrics())
                        case Word.ALL:
                            self._arrived(payload)
                        case Word.LEAVE:
                            leave()
                        case _:
                            drain()
            except (OSError, ValueError) as error:
                log.warning("supervisor.lost", error=str(error))
            else:
                log.warning("supervisor.gone")
            drain()

        threading.Thread(target=answer, name="holdfast-link", daemon=True).start()
        self._say_quietly(Word.READY)

    def close(self) -> None:
        """Let go of the line and the listener, where they were never used."""
        self._line.close()
        if self.listener is not None:
            self.listener.close()

    def draining(self) -> None:
        """Tell that this process is about to end, so that new connections go to the others."""
        self._say_quietly(Word.DRAINING)

    async def everyone(self) -> bytes:
        """Return the metrics of all processes, each labelled with its number. Raises SupervisorSilent."""
        assert self._loop is not None, "not before `serve`"
        asked: asyncio.Future[bytes] = self._loop.create_future()
        self._asked.append(asked)
        if len(self._asked) == 1:
            # Whoever asks meanwhile gets the same answer.
            self._say_quietly(Word.EVERYONE)
        try:
            async with asyncio.timeout(EVERYONE_S):
                text = await asyncio.shield(asked)
        except TimeoutError:
            # The next one asks anew.
            self._asked.clear()
            text = b""
        if not text:
            raise SupervisorSilent
        return text

    def _arrived(self, payload: bytes) -> None:
        def hand_out() -> None:
            asked, self._asked = self._asked, []
            for one in asked:
                if not one.done():
                    one.set_result(payload)

        assert self._loop is not None
        self._loop.call_soon_threadsafe(hand_out)

    def _heard(self) -> tuple[int, bytes] | None:
        header = self._exactly(HEADER.size)
        if header is None:
            return None
        kind, length = opened(header)
        payload = self._exactly(length)
        return None if payload is None else (kind, payload)

    def _exactly(self, size: int) -> bytes | None:
        received = bytearray()
        while len(received) < size:
            piece = self._line.recv(size - len(received))
            if not piece:
                return None
            received += piece
        return bytes(received)

    def _say(self, word: Word, payload: bytes = b"") -> None:
        with self._sending:
            self._line.sendall(frame(word, payload))

    def _say_quietly(self, word: Word) -> None:
        try:
            self._say(word)
        except OSError as error:
            # The thread that listens finds out as well, and acts on it.
            log.warning("supervisor.lost", error=str(error))
