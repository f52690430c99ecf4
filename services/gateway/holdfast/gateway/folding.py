"""What a session looks like at a seq: the fold of its log, beginning where an earlier one got to.

A fold that had to read far leaves a snapshot for the next one, in the background: nobody waits for that, and no request
fails by it. A snapshot changes what a fold costs and never what it is.
"""

import asyncio

import orjson
import structlog

from holdfast.events.errors import StoreUnavailable
from holdfast.events.fold import FOLD_VERSION, apply, empty_state, from_plain, to_json
from holdfast.events.fold.state import State
from holdfast.events.store import Reader, SessionInfo, Snapshots
from holdfast.gateway.tasks import Spawn

# A fold that read two pages, some 10 ms of this process, saves the next one more than its snapshot costs.
SNAPSHOT_AFTER_EVENTS = 1_000

log: structlog.stdlib.BoundLogger = structlog.get_logger("holdfast.gateway")


class Folding:
    """Folds sessions. At most one snapshot is on its way to the store: the next fold is as good a time."""

    def __init__(self, reader: Reader, snapshots: Snapshots, spawn: Spawn) -> None:
        self._reader, self._snapshots, self._spawn = reader, snapshots, spawn
        self._keeping = False

    async def fold(self, session: SessionInfo, *, until: int) -> tuple[State, int]:
        """Return the state after event `until`, and the earliest seq that was there to be read.

        Raises StoreUnavailable.
        """
        min_seq = session.min_seq
        state = await self._begun(session.session, until, min_seq)
        begun_at = state.seq
        after = state.seq
        while after < until:
            page = await self._reader.read(session.session, after=after, until=until)
            if page.min_seq != min_seq:
                # What was kept of the beginning has changed under us: begin with what is left of it.
                min_seq = page.min_seq
                if after:
                    state, begun_at, after = empty_state(), 0, 0
                    continue
            for recorded in page.items:
                apply(state, recorded)
            if page.through <= after:
                break
            after = page.through
            # A page of 500 takes milliseconds to fold: the streams get their turn after each.
            await asyncio.sleep(0)
        if state.seq - begun_at >= SNAPSHOT_AFTER_EVENTS and not self._keeping:
            self._keeping = True
            self._spawn(self._keep(session.session, state.seq, packed(state, min_seq)))
        return state, min_seq

    async def _begun(self, session: int, until: int, min_seq: int) -> State:
        if until < SNAPSHOT_AFTER_EVENTS:
            return empty_state()  # no further than what a fold reads without a snapshot
        found = await self._snapshots.latest(session, fold_version=FOLD_VERSION, until=until)
        return (found and unpacked(found.body, min_seq)) or empty_state()

    async def _keep(self, session: int, seq: int, body: bytes) -> None:
        try:
            await self._snapshots.keep(session, seq=seq, fold_version=FOLD_VERSION, body=body)
        except StoreUnavailable as error:
            log.info("snapshot.lost", session=session, seq=seq, reason=type(error).__name__)
        finally:
            self._keeping = False


def packed(state: State, min_seq: int) -> bytes:
    """Return the body of a snapshot: the state, and from which seq on there were events for it."""
    return b'{"min_seq":%d,"state":%b}' % (min_seq, to_json(state))


def unpacked(body: bytes, min_seq: int) -> State | None:
    """Return the state of a snapshot; None when it holds what isn't kept any more, or can't be read."""
    try:
        plain = orjson.loads(body)
        return from_plain(plain["state"]) if plain["min_seq"] == min_seq else None
    except (ValueError, LookupError, TypeError, AttributeError):
        log.warning("snapshot.unreadable")
        return None
