"""Publishes what a crash left unpublished, and asks for the expiry of sessions whose time ran out.

The owner of a session is answerable for publishing it; the sweep covers the sessions that nobody owns. Every worker
sweeps: doing it twice is harmless.
"""

import random

import structlog

from holdfast.events.clock import Clock, jittered
from holdfast.events.errors import StoreUnavailable, StreamUnavailable
from holdfast.events.store import Store
from holdfast.orchestrator.backlog import erases, may_rest
from holdfast.orchestrator.publishing import Stream, window_of

# A second after the crash at the latest readers are served from the stream again (until then from the store).
SWEEP_S = 1.0

# Sessions per sweep: a hundred at a read and a script call each is some 50 ms of work.
SWEEP_SESSIONS = 100

# So many failures in a row are not the sessions' fault: Redis is away, and the rest of the sweep would only wait.
SWEEP_FAILURES_MAX = 3

# For a day after its erasure nothing of a session may come back into Redis. A failover that lost the last commands can
# bring it back, a command that was held up somewhere, or a restored copy of Redis. Looked for every minute: 1,000
# windows are one read of 0.3 ms, and of more erasures in a day than that the newest are looked at.
SCRUB_S = 60.0
SCRUB_WITHIN_S = 86_400.0
SCRUB_SESSIONS_MAX = 1_000

log = structlog.get_logger("holdfast.sweeper")


class Sweeper:
    """Looks every second for sessions whose stream is behind their log."""

    def __init__(
        self, store: Store, stream: Stream, *, clock: Clock, chance: random.Random
    ) -> None:
        self._store, self._stream = store, stream
        self._clock, self._chance = clock, chance

    async def run(self) -> None:
        """Sweep for ever."""
        scrubbed_at = -SCRUB_S
        while True:
            await self._clock.sleep(jittered(SWEEP_S, 0.2, self._chance))
            try:
                await self.sweep()
                if self._clock.monotonic() - scrubbed_at >= SCRUB_S:
                    await self.scrub()
                    scrubbed_at = self._clock.monotonic()
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
                if events and erases(events[-1]):
                    # A rebase would leave a window that reaches as far as it is, with all that was erased.
                    await self._stream.erase(session, events[-1])
                elif events:
                    await self._stream.rebase(session, events, at_rest=may_rest(events[-1]))
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

    async def scrub(self) -> int:
        """Erase again what is back in the windows of sessions erased lately; return of how many it was.

        Raises StoreUnavailable. A Redis that is away is asked again next time.
        """
        erased = await self._store.claims.erased(within_s=SCRUB_WITHIN_S, limit=SCRUB_SESSIONS_MAX)
        done = 0
        try:
            windows = await self._stream.read(dict.fromkeys(erased, 0), limit=1)
            for session, entries in windows.items():
                # The last of an erased session's events is the only one that it has.
                if entries and entries[0].seq < erased[session]:
                    for last in (await window_of(self._store.reader, session, erased[session]))[
                        -1:
                    ]:
                        await self._stream.erase(session, last)
                        done += 1
        except StreamUnavailable as error:
            log.warning("scrub.refused", error=str(error))
        if done:
            log.warning("scrub.erased", sessions=done)
        return done
