"""Keeps several processes of a service running behind one port, and ends them in order.

    the first process alone; when it serves, all others      started in this order
    a process that ends is started again, with growing pauses
    SIGTERM or SIGINT: all end in order; the second one: at once

What one process can be asked (`/metrics`), all are asked; what ends a process by itself (a blocked loop, another log)
ends that process only.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from holdfast.processes.child import Child
from holdfast.processes.exposition import merged
from holdfast.processes.listeners import Listeners

# Between an end and the next start: at once for an accident, no busy loop for a lasting fault.
BACKOFF_MIN_S = 0.2
BACKOFF_MAX_S = 5.0

# One that has lived this long ended of something new.
HEALTHY_S = 10.0

# So many starts in a row that came to nothing, of one process, while no other serves: the fault is none of theirs, and
# whoever started us (systemd, Kubernetes) shows it to somebody. With the pauses between them a quarter of a minute, or
# five minutes where each start waits for a database.
STARTS_MAX = 6

# A process answers a ping from a thread of its own, whatever its event loop does. One that doesn't for a minute is
# stopped or stuck in a call that lets no thread run: its watchdog can't end it, so we do.
PING_S = 5.0
UNANSWERED_MAX = 12

# Told to end at once, a process needs no longer; SIGKILL cannot be refused.
LEAVE_S = 10.0

EXIT_BROKEN = 1

log: structlog.stdlib.BoundLogger = structlog.get_logger("holdfast.processes")


@dataclass(frozen=True, slots=True)
class Group:
    """What is to run: `count` processes of one command, which may take `patience_s` to end in order."""

    name: str
    count: int
    command: Sequence[str]
    environment: Mapping[str, str]
    patience_s: float
    # Of one process, by its number: worker names must differ.
    own: Mapping[int, Mapping[str, str]] = field(default_factory=dict[int, Mapping[str, str]])


class Supervisor:
    """A group's processes, from the first start to the last end."""

    def __init__(self, group: Group, listeners: Listeners | None = None) -> None:
        self._group, self._listeners = group, listeners
        self._children = [
            Child(number, group.command, {**group.environment, **group.own.get(number, {})})
            for number in range(1, group.count + 1)
        ]
        self._stopping = asyncio.Event()
        self._has_served = False
        self._worst = 0
        self._telling: asyncio.Task[bytes] | None = None

    @property
    def ready(self) -> bool:
        """Whether every process serves."""
        return not self._stopping.is_set() and all(child.ready.is_set() for child in self._children)

    async def run(self) -> int:
        """Run until a signal, or until nothing can be run; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        pinging = asyncio.create_task(self._ping())
        try:
            # The first one shows whether there is anything to be started, and says why not once instead of many times.
            keeping = [asyncio.create_task(self._keep(self._children[0]))]
            serving = asyncio.create_task(self._children[0].ready.wait())
            await asyncio.wait([serving, *keeping], return_when=asyncio.FIRST_COMPLETED)
            serving.cancel()
            if not self._stopping.is_set():
                keeping += [asyncio.create_task(self._keep(child)) for child in self._children[1:]]
            telling = asyncio.create_task(self._tell_when_whole())
            await asyncio.gather(*keeping)
            telling.cancel()
        finally:
            pinging.cancel()
            if self._listeners is not None:
                self._listeners.close()
        return self._worst

    async def metrics(self) -> bytes:
        """Return what all processes count, and which of them are there. Whoever asks meanwhile gets the same."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._ask_everyone())
        return await asyncio.shield(self._telling)

    async def _ask_everyone(self) -> bytes:
        told = await asyncio.gather(*(child.metrics() for child in self._children))
        texts = {c.number: text for c, text in zip(self._children, told, strict=True) if text}
        up, restarts = list[str](), list[str]()
        for child in self._children:
            # One that didn't tell is missing from the rest, which must be seen.
            up.append(
                f'holdfast_process_up{{process="{child.number}"}} {int(child.number in texts)}'
            )
            count = max(0, child.starts - 1)
            restarts.append(f'holdfast_process_restarts_total{{process="{child.number}"}} {count}')
        ours = [
            "# HELP holdfast_process_up Whether this process told what it counts.",
            "# TYPE holdfast_process_up gauge",
            *up,
            "# HELP holdfast_process_restarts_total How often this process was started again.",
            "# TYPE holdfast_process_restarts_total counter",
            *restarts,
        ]
        return merged(texts) + "".join(f"{line}\n" for line in ours).encode()

    async def _keep(self, child: Child) -> None:
        """Run one process after the other, until all are told to stop."""
        backoff, vain = BACKOFF_MIN_S, 0
        while not self._stopping.is_set():
            began = time.monotonic()
            served = asyncio.create_task(child.ready.wait())
            code = await self._run_once(child)
            has_served, lived_s = served.done(), time.monotonic() - began
            served.cancel()
            self._has_served = self._has_served or has_served
            if self._stopping.is_set():
                if code and has_served:
                    self._worst = self._worst or EXIT_BROKEN
                log.info("process.ended", process=child.number, status=code)
                return
            vain = 0 if has_served else vain + 1
            if self._gives_up(child, vain, code):
                return
            if lived_s > HEALTHY_S:
                backoff = BACKOFF_MIN_S
            log.warning("process.ended", process=child.number, status=code, again_in_s=backoff)
            if vain and self._listeners is not None:
                # What waited for its successor waits in vain.
                self._renew(self._listeners, child)
            await self._pause(backoff)
            backoff = min(backoff * 2, BACKOFF_MAX_S)

    async def _run_once(self, child: Child) -> int:
        listeners = self._listeners

        def on_draining() -> None:
            if self._stopping.is_set():
                return
            log.info("process.draining", process=child.number)
            if listeners is not None:
                # It accepts nothing any more and takes its time to end; new connections are for the others.
                self._renew(listeners, child)

        try:
            return await child.run(
                -1 if listeners is None else listeners.descriptor(child.number),
                on_draining=on_draining,
                everyone=lambda: asyncio.ensure_future(self.metrics()),
            )
        except OSError as error:
            log.error("process.unstarted", process=child.number, error=str(error))
            return EXIT_BROKEN

    def _renew(self, listeners: Listeners, child: Child) -> None:
        try:
            listeners.renew(child.number)
        except OSError as error:
            # Out of descriptors, say. Some connections wait longer than they must; all would be lost with us.
            log.warning("listener.kept", process=child.number, error=str(error))

    def _gives_up(self, child: Child, vain: int, code: int) -> bool:
        """Tell whether this end is the end of all; if so, see to it."""
        if not vain or (self._has_served and vain < STARTS_MAX):
            return False
        if any(other.ready.is_set() for other in self._children):
            return False
        name, count = self._group.name, self._group.count
        print(  # noqa: T201 - said to the person who starts it
            f"{name}: none of {count} processes can be started; process {child.number} ended with status {code}"
            " and said why above",
            file=sys.stderr,
            flush=True,
        )
        self._worst = code if code > 0 else EXIT_BROKEN
        self._stop()
        return True

    def _told_to_stop(self) -> None:
        if not self._stopping.is_set():
            self._stop()
            return
        log.info("supervisor.leaving")
        for child in self._children:
            child.leave()
        asyncio.get_running_loop().call_later(LEAVE_S, self._kill)

    def _stop(self) -> None:
        self._stopping.set()
        log.info("supervisor.draining", processes=self._group.count)
        if self._listeners is not None:
            # Before the processes close theirs: a socket that we held would go on taking what nobody answers.
            self._listeners.close()
        for child in self._children:
            child.drain()
        asyncio.get_running_loop().call_later(self._group.patience_s, self._kill)

    def _kill(self) -> None:
        for child in self._children:
            if child.pid is not None:
                log.error("process.overstayed", process=child.number)
                self._worst = EXIT_BROKEN
                child.send(signal.SIGKILL)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _tell_when_whole(self) -> None:
        for child in self._children:
            await child.ready.wait()
        facts = {} if self._listeners is None else {"port": self._listeners.port}
        log.info("supervisor.ready", processes=self._group.count, **facts)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            for child in self._children:
                if not child.ready.is_set():
                    continue
                if child.unanswered < UNANSWERED_MAX:
                    child.ping()
                else:
                    log.error("process.silent", process=child.number, pings=UNANSWERED_MAX)
                    child.send(signal.SIGKILL)
