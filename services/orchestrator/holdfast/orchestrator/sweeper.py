"""Publishes what a crash left unpublished, and asks for the expiry of sessions whose time ran out.

The owner of a session is answerable for publishing it; the sweep covers the sessions that nobody owns. Every worker
sweeps: doing it twice is harmless.
"""

import random

import structlog

from holdfast.events.clock import Clock, jittered
from holdfast.events.errors import StoreUnavailable, StreamUnavailable
from holdfast.events.store import Store
from holdfast.events.stream import Publisher
from holdfast.orchestrator.publishing import erases, may_rest, window_of

# A second after the crash at the latest readers are served from the stream again (until then from the store).
SWEEP_S = 1.0

# Sessions per sweep: a hundred at a read and a script call each is some 50 ms of work.
SWEEP_SESSIONS = 100

# So many failures in a row are not the sessions' fault: Redis is away, and the rest of the sweep would only wait.
SWEEP_FAILURES_MAX = 3

log = structlog.get_logger("holdfast.sweeper")


class Sweeper:
    """Looks every second for sessions whose stream is behind their log."""

    def __init__(
        self, store: Store, publisher: Publisher, *, clock: Clock, chance: random.Random
    ) -> None:
        self._store, self._publisher = store, publisher
        self._clock, self._chance = clock, chance

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await self._clock.sleep(jittered(SWEEP_S, 0.2, self._chance))
            try:
                await self.sweep()
                await self._store.claims.expire_due(limit=SWEEP_SESSIONS)
            except StoreUnavailable as error:
                log.warning("sweep.failed", error=str(error))
            except Exception:
                # Ours to mend. What is behind stays behind, and readers ask the store: no reason to end the worker.
                log.exception("sweep.broke")

    async def sweep(self) -> int:
        """Publish what unowned sessions have unpublished; return for how many sessions that was done.

        A session that can't be published harms no other. Raises StoreUnavailable.
        """
        behind = list(await self._store.claims.unpublished(limit=SWEEP_SESSIONS))
        # Another order each time: sessions that always fail don't always come first.
        self._chance.shuffle(behind)
        done: dict[int, int] = {}
        failures = 0
        for session, _, head in behind:
            events = await window_of(self._store.reader, session, head)
            try:
                if events:
                    if erases(events[-1]):
                        # A rebase would leave a window that reaches as far as it is, with all that was erased.
                        await self._publisher.drop(session)
                    await self._publisher.rebase(session, events, at_rest=may_rest(events[-1]))
            except StreamUnavailable as error:
                log.warning("sweep.refused", session=session, error=str(error))
                failures += 1
                if failures >= SWEEP_FAILURES_MAX:
                    break
                continue
            failures = 0
            done[session] = head
        if done:
            await self._store.claims.mark_published(done)
            log.info("sweep.published", sessions=len(done))
        return len(done)
