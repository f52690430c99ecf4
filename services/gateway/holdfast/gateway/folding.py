"""What a session looks like at a seq: the fold of its log, beginning where an earlier one got to.

A fold that had to read far leaves a snapshot for the next one, in the background: nobody waits for that, and no request
fails by it. A snapshot changes what a fold costs and never what it is.

However long the session, a fold holds one state, which has a bound of its own (`events.fold.state`), and one page.
"""

import asyncio
from collections.abc import Callable

import orjson
import structlog

from holdfast.events.errors import StoreUnavailable
from holdfast.events.fold import FOLD_VERSION, apply, empty_state, from_plain, to_json
from holdfast.events.fold.state import State
from holdfast.events.store import Reader, SessionInfo, Snapshots
from holdfast.gateway.tasks import Flight, Spawn

# A fold that read two pages, some 10 ms of this process, saves the next one more than its snapshot costs.
SNAPSHOT_AFTER_EVENTS = 1_000

# And on its way so often: the first fold of a session that nobody looked at for a million events takes longer than
# proxies wait. Whoever asks again goes on from there: every second or so, 5 MB at most.
SNAPSHOT_EVERY_EVENTS = 50_000

# Some 2 ms of folding; then the streams get their turn.
EVENTS_PER_TURN = 100

log: structlog.stdlib.BoundLogger = structlog.get_logger("holdfast.gateway")


class Folding:
    """Folds sessions. At most one snapshot is on its way to the store: the next fold is as good a time."""

    def __init__(self, reader: Reader, snapshots: Snapshots, spawn: Spawn) -> None:
        self._reader, self._snapshots, self._spawn = reader, snapshots, spawn
        self._keeping = False
        self._flights: dict[tuple[int, int], Flight[tuple[State, int]]] = {}

    async def fold(self, session: SessionInfo, *, until: int) -> tuple[State, int]:
        """Return the state after event `until`, and the earliest seq that was there to be read.

        Folded once for all who ask at the same time: nobody may change it. Raises StoreUnavailable.
        """
        # Events don't change: what was read before this call is as good. What was erased is not asked for any more.
        key = (session.session, until)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight()
            # A task of its own: whoever asked first may leave.
            self._spawn(self._fly(key, flight, session))
        return await flight.wait()

    async def _fly(
        self, key: tuple[int, int], flight: Flight[tuple[State, int]], session: SessionInfo
    ) -> None:
        try:
            flight.land(await self._fold(session, key[1], lambda: flight.wanted))
        except Exception as error:  # noqa: BLE001  # whoever waits gets it, whatever it is
            flight.fail(error)
        except BaseException:
            flight.fail(StoreUnavailable("the gateway is stopping"))
            raise
        finally:
            del self._flights[key]

    async def _fold(
        self, session: SessionInfo, until: int, wanted: Callable[[], bool]
    ) -> tuple[State, int]:
        min_seq = session.min_seq
        state = await self._begun(session.session, until, min_seq)
        begun_at = state.seq
        after = state.seq
        while after < until and wanted():
            page = await self._reader.read(session.session, after=after, until=until)
            if page.min_seq != min_seq:
                # What was kept of the beginning has changed under us: begin with what is left of it.
                min_seq = page.min_seq
                if after:
                    state, begun_at, after = empty_state(), 0, 0
                    continue
            for place, recorded in enumerate(page.items):
                apply(state, recorded)
                if place % EVENTS_PER_TURN == 0:
                    await asyncio.sleep(0)
            if page.through <= after:
                break
            after = page.through
            if state.seq - begun_at >= SNAPSHOT_EVERY_EVENTS and self._leave(
                session, state, min_seq
            ):
                begun_at = state.seq
        if state.seq - begun_at >= SNAPSHOT_AFTER_EVENTS:
            self._leave(session, state, min_seq)
        return state, min_seq

    def _leave(self, session: SessionInfo, state: State, min_seq: int) -> bool:
        """Leave a snapshot, unless one is on its way; return whether one will be."""
        if self._keeping:
            return False
        self._keeping = True
        self._spawn(self._keep(session.session, state.seq, packed(state, min_seq)))
        return True

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
