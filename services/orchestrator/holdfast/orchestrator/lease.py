"""Keeps the leases of this worker's sessions, from a thread of its own with a connection of its own.

A busy event loop can't make renewals late; a dead one must not keep leases alive. So the thread renews only while the
loop ticks, or computes: a step that keeps the CPU for half a minute is a nuisance to its neighbours, and were it taken
over with all of them, it would be one to the next worker, too. When renewals have failed for two thirds of a lease the
worker suspends itself: no step begins and nothing is appended until a renewal shows that the epochs still stand. (The
fence makes this safe in any case; the suspension keeps a cut-off worker from doing work that will be refused.)
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, Protocol

import structlog

from holdfast.events.clock import Clock, SystemClock
from holdfast.events.store import Claims

# Renewals come three to a lease, so that two may fail in a row.
RENEWALS_PER_LEASE = 3
# After two thirds of a lease without renewal the rest is needed to stop work in time.
SUSPEND_AFTER_LEASES = 2 / 3
# The loop ticks ten times per third of a lease; missing all ten means that it is blocked.
TICKS_PER_RENEWAL = 10
# A loop that waits for a lock uses nothing of a CPU; one that computes uses all of one, and a tenth of that where ten
# others want it, too.
COMPUTING_SHARE = 0.1
# Some code computes for ever. Its worker keeps what it owns for 45 s as shipped; at 60 s the watchdog ends it.
COMPUTING_LEASES_MAX = 3

log = structlog.get_logger("holdfast.lease")


class ClaimsConnection(Protocol):
    """The thread's own way to the claims: opened, used and closed inside the thread's loop."""

    async def open(self) -> Claims:
        """Connect. Raises StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Give the connection back, if there is one."""
        ...


class SharedClaims:
    """For in-memory stores: the same object serves every thread's loop."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    async def open(self) -> Claims:
        """Return the shared claims."""
        return self._claims

    async def close(self) -> None:
        """Leave them to their owner."""


class Side(Protocol):
    """What renews runs here: beside the main loop, so that neither waits for the other."""

    @property
    def alive(self) -> bool:
        """Whether the work goes on."""
        ...

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin to run `work`."""
        ...

    async def pause(self, seconds: float) -> bool:
        """Wait, called by the work; return at once, and False, when it is to end."""
        ...

    async def stop(self, within_s: float) -> None:
        """Let the work end, and wait for that for `within_s` at most; called in the main loop."""
        ...


class SideThread:
    """A thread of its own with a loop of its own."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin to run `work` in the thread."""
        self._thread = threading.Thread(
            target=lambda: asyncio.run(work()), name="holdfast-lease", daemon=True
        )
        self._thread.start()

    async def pause(self, seconds: float) -> bool:
        """Wait in the thread; return False when it is to end."""
        return not await asyncio.to_thread(self._stop.wait, seconds)

    async def stop(self, within_s: float) -> None:
        """Let the thread end, and wait for it."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, within_s)


class LeaseKeeper:
    """Renews the leases of the sessions it is told of; tells which ones are lost."""

    def __init__(
        self,
        worker: str,
        connection: ClaimsConnection,
        *,
        lease_s: float,
        on_lost: Callable[[int, int], None],
        clock: Clock | None = None,
        side: Side | None = None,
    ) -> None:
        """`on_lost(session, epoch)` is called in the main loop for every session that has another owner.

        `clock` is read from both sides; `side` is a thread unless something else is given.
        """
        self.worker, self.lease_s = worker, lease_s
        self._connection, self._on_lost = connection, on_lost
        self._sessions: dict[int, int] = {}
        self._lock = threading.Lock()
        self._clock, self._side = clock or SystemClock(), side or SideThread()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context = copy_context()
        self._ticked_at = self._renewed_at = self._clock.monotonic()
        self._active = asyncio.Event()
        self._active.set()
        self._ticker: asyncio.Task[None] | None = None
        # A clock that is given is a simulation's, in which nothing takes CPU.
        self._cpu_s: Callable[[], float] = _nothing
        self._real = clock is None
        self._cpu_seen, self._looked_at = 0.0, self._ticked_at
        self._started = False

    @property
    def suspended(self) -> bool:
        """Whether this worker may not append now."""
        return not self._active.is_set()

    @property
    def renewal_age_s(self) -> float:
        """Seconds since the leases were known to be held."""
        return self._clock.monotonic() - self._renewed_at

    @property
    def loop_blocked(self) -> bool:
        """Whether the event loop has not ticked for as long as a renewal may wait."""
        return self._clock.monotonic() - self._ticked_at > self._period_s

    @property
    def alive(self) -> bool:
        """Whether the side that renews is there; so it is from `start` to `stop`, unless something broke it."""
        return not self._started or self._side.alive

    async def active(self) -> None:
        """Wait while the worker is suspended."""
        await self._active.wait()

    def hold(self, session: int, epoch: int) -> None:
        """Renew this session's lease from now on."""
        with self._lock:
            self._sessions[session] = epoch

    def drop(self, session: int, epoch: int) -> bool:
        """Stop renewing this session's lease; return whether it was renewed until now."""
        with self._lock:
            held = self._sessions.get(session) == epoch
            if held:
                del self._sessions[session]
            return held

    def start(self) -> None:
        """Begin to renew; to be called in the loop whose liveness counts."""
        self._loop, self._context = asyncio.get_running_loop(), copy_context()
        if self._real:
            self._cpu_s = _cpu_clock(threading.get_ident())
        self._ticker = asyncio.create_task(self._tick(), name="lease.ticker")
        self._side.start(self._keep)
        self._started = True

    async def stop(self) -> None:
        """End the renewals; leases that were not released run out by themselves."""
        if self._ticker is not None:
            self._ticker.cancel()
        await self._side.stop(self.lease_s)

    @property
    def _period_s(self) -> float:
        return self.lease_s / RENEWALS_PER_LEASE

    async def _tick(self) -> None:
        while True:
            self._ticked_at = self._clock.monotonic()
            self._judge()
            await self._clock.sleep(self._period_s / TICKS_PER_RENEWAL)

    def _judge(self) -> None:
        """Suspend or go on; runs in the main loop only, so that nothing is appended between the two."""
        too_old = self.renewal_age_s > self.lease_s * SUSPEND_AFTER_LEASES
        if too_old and not self.suspended:
            log.warning("lease.suspended", renewal_age_s=round(self.renewal_age_s, 2))
            self._active.clear()
        elif not too_old and self.suspended:
            log.info("lease.active")
            self._active.set()

    async def _keep(self) -> None:
        claims: Claims | None = None
        goes_on = True
        while goes_on:
            try:
                # The deadline counts from before the renewal was sent: the database may have
                # extended the lease at any moment since.
                asked_at = self._clock.monotonic()
                blocked_s, computes = round(asked_at - self._ticked_at, 2), self._computes(asked_at)
                if self.loop_blocked and not computes:
                    log.warning("lease.loop-blocked", blocked_s=blocked_s)
                else:
                    if self.loop_blocked:
                        log.warning("lease.loop-computes", blocked_s=blocked_s)
                    claims = claims or await self._connection.open()
                    await self._renew(claims, asked_at)
            except Exception as error:  # noqa: BLE001 - whatever it is, a thread that ended would lose every lease
                log.warning("lease.renewal-failed", error=repr(error))
                await self._disconnect()
                claims = None
            goes_on = await self._side.pause(self._period_s)
        await self._disconnect()

    def _computes(self, now: float) -> bool:
        """Whether the loop's thread has worked since the last look, and not for longer than anybody should."""
        try:
            used = self._cpu_s()
        except OSError:
            return False  # the thread is gone
        spent, passed = used - self._cpu_seen, now - self._looked_at
        self._cpu_seen, self._looked_at = used, now
        lasts = now - self._ticked_at > COMPUTING_LEASES_MAX * self.lease_s
        return spent > COMPUTING_SHARE * passed and not lasts

    async def _disconnect(self) -> None:
        try:
            await self._connection.close()
        except Exception as error:  # noqa: BLE001 - it is given up in any case
            log.warning("lease.close-failed", error=repr(error))

    async def _renew(self, claims: Claims, asked_at: float) -> None:
        with self._lock:
            sessions = dict(self._sessions)
        lost = (
            await claims.renew(self.worker, sessions, lease_s=self.lease_s)
            if sessions
            else frozenset[int]()
        )
        self._renewed_at = asked_at
        for session in lost:
            epoch = sessions[session]
            if not self.drop(session, epoch):
                continue  # given back meanwhile: not lost
            assert self._loop is not None
            # In the main loop's own context: this one is the side's.
            self._loop.call_soon_threadsafe(self._on_lost, session, epoch, context=self._context)


def _nothing() -> float:
    return 0.0


def _cpu_clock(thread: int) -> Callable[[], float]:
    """Return how to read the CPU seconds of a thread; where the system doesn't tell, it never uses any."""
    if not hasattr(time, "pthread_getcpuclockid"):  # macOS and Windows
        return _nothing
    clock = time.pthread_getcpuclockid(thread)
    return lambda: time.clock_gettime(clock)
