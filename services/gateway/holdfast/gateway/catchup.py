"""Pages of the store as pieces ready to send, read once for all who ask for the same one at about the same time."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from holdfast.events.clock import Clock
from holdfast.events.errors import StoreUnavailable
from holdfast.events.store import PAGE_EVENTS_MAX, Lines, Reader, Stretch
from holdfast.gateway.ending import Ending
from holdfast.gateway.heavy import Heavy
from holdfast.gateway.observer import Observer
from holdfast.gateway.options import HubOptions
from holdfast.gateway.ring import Entry, Piece
from holdfast.gateway.selection import LAST, Selection
from holdfast.gateway.sift import join, join_lines, sift
from holdfast.gateway.tasks import Flight, Spawn
from holdfast.gateway.together import Together

# Pages being read one by one: as many as the gateway has connections that are not reserved, each for some 2 ms. 4 × 500
# events per 2 ms is more than the loop can send; the rest of a reconnect storm waits here instead of in the pool, where
# it would keep everybody else waiting. (Beside the questions below it is two more than there are connections: so many
# wait in the pool, as look-ups do.)
READS_MAX = 4

# Pages of everything are asked for together: 8 are one question of some 4 ms, at half of what each would cost alone.
# While Postgres works at one such question this loop takes in the answer of another, and the next two gather.
LINES_PAGES = 8
LINES_AT_ONCE = 2

# Pages that are in such a question or gather for the next ones: what nobody waits for any more by then is read all the
# same. Whoever comes after these can still leave the line.
LINES_GATHERED_MAX = 2 * LINES_AT_ONCE * LINES_PAGES

# Seqs that one filtered page looks through: some 50 ms of Postgres when nothing matches, far from the timeout of a
# statement. The page says how far it looked, and the next one goes on there.
SCAN_SEQS_MAX = 100_000

Key = tuple[object, ...]

log = structlog.get_logger("holdfast.gateway.catchup")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A page of one selection, framed. Every wanted event with `after < seq <= through` is in it."""

    after: int
    pieces: tuple[Piece, ...]
    through: int
    head: int
    min_seq: int
    ending: Ending | None

    @property
    def size(self) -> int:
        """Bytes of frames."""
        return sum(len(piece.frames) for piece in self.pieces)


def _limit(after: int) -> int:
    """Pages end at multiples of the page size: readers who began at different cursors share from their second on."""
    return PAGE_EVENTS_MAX - after % PAGE_EVENTS_MAX


def scan_end(after: int, until: int | None = None) -> int:
    """Return the last seq that a filtered page from `after` on should look at."""
    end = after + SCAN_SEQS_MAX
    return end if until is None else min(until, end)


class Catchup:
    """Single flight: a wave of clients that reconnect from one cursor costs one read and one blob of frames."""

    def __init__(
        self, reader: Reader, spawn: Spawn, clock: Clock, options: HubOptions, observer: Observer
    ) -> None:
        self._reader, self._spawn, self._clock = reader, spawn, clock
        self._options, self._observer = options, observer
        self._reading = asyncio.Semaphore(READS_MAX)
        self._gathering = asyncio.Semaphore(LINES_GATHERED_MAX)
        self._lines = Together(
            lambda stretches: reader.lines(stretches, without=LAST),
            spawn,
            keys_max=LINES_PAGES,
            at_once=LINES_AT_ONCE,
        )
        self._heavy = Heavy()
        self._flights: dict[Key, Flight[Leaf]] = {}
        self._kept: OrderedDict[Key, tuple[float, Leaf]] = OrderedDict()
        self.bytes = 0

    async def leaf(
        self, session: int, selection: Selection, *, after: int, until: int | None = None
    ) -> Leaf:
        """Return the page after seq `after`. Raises StoreUnavailable.

        An answer that brings nothing new was read after this call: an older one might just be too old.
        """
        key = (session, after, until, *selection.key)
        self._expire()
        if (kept := self._kept.get(key)) is not None:
            self._observer.page(shared=True)
            return kept[1]
        if (flight := self._flights.get(key)) is not None:
            leaf = await flight.wait()
            if leaf.through > after:
                self._observer.page(shared=True)
                return leaf
            # It may have been read before this call. Whatever flies now began after that one landed, so after this
            # call: its answer counts for all who waited, even if it is empty as well.
        flight = self._flights.get(key)
        self._observer.page(shared=flight is not None)
        if flight is None:
            flight = self._flights[key] = Flight()
            self._spawn(self._fly(key, flight, session, selection, after, until))
        return await flight.wait()

    def forget(self, session: int) -> None:
        """Drop what is kept of a session, and let no page stay that is on its way: it was erased, or the store lost
        a part of it.
        """
        for key in [key for key in self._kept if key[0] == session]:
            self._drop(key)
        for key in [key for key in self._flights if key[0] == session]:
            del self._flights[key]

    async def _fly(
        self,
        key: Key,
        flight: Flight[Leaf],
        session: int,
        selection: Selection,
        after: int,
        until: int | None,
    ) -> None:
        try:
            leaf = await self._leaf(flight, session, selection, after, until)
            if leaf is None:
                self._land(key, flight)
                return
        except Exception as error:  # noqa: BLE001  # whoever waits gets it, whatever it is
            self._land(key, flight)
            flight.fail(error)
        except BaseException:
            self._land(key, flight)
            flight.fail(StoreUnavailable("the gateway is stopping"))
            raise
        else:
            # An empty page is true for a moment only; one with events stays true, unless it was forgotten meanwhile.
            if self._land(key, flight) and leaf.pieces:
                self._keep(key, leaf)
            flight.land(leaf)

    def _land(self, key: Key, flight: Flight[Leaf]) -> bool:
        """End a flight; return whether it is still the one for its page."""
        if self._flights.get(key) is not flight:
            return False
        del self._flights[key]
        return True

    async def _leaf(
        self,
        flight: Flight[Leaf],
        session: int,
        selection: Selection,
        after: int,
        until: int | None,
    ) -> Leaf | None:
        """Read a page when it is its turn; None if all who asked have left by then: the next one begins anew."""
        if selection.everything and until is None and session not in self._heavy:
            async with self._gathering:
                if not flight.wanted:
                    return None
                lines = await self._lines_of(Stretch(session, after, _limit(after)))
                if lines is not None:
                    return self._of_lines(lines, after)
        async with self._reading:
            return await self._read(session, selection, after, until) if flight.wanted else None

    async def _lines_of(self, stretch: Stretch) -> Lines | None:
        try:
            return await self._lines.of(stretch)
        except StoreUnavailable:
            raise
        except Exception:
            # Something of one of the sessions that were asked for together can't be read: its own page will tell.
            log.exception("lines.failed", session=stretch.session)
            return None

    def _of_lines(self, lines: Lines, after: int) -> Leaf:
        begin = max(after, lines.min_seq - 1)  # what lies before it is no longer there
        sifted = join_lines(lines, after=begin, bytes_max=self._options.chunk_bytes)
        through = max(lines.through, begin)
        return Leaf(after, sifted.pieces, through, lines.head, lines.min_seq, None)

    async def _read(
        self, session: int, selection: Selection, after: int, until: int | None
    ) -> Leaf:
        types, runs = selection.stored_types(), selection.stored_runs()
        if types is not None or runs is not None:
            until = scan_end(after, until)
        limit = _limit(after)
        page = await self._reader.read(
            session, after=after, limit=limit, until=until, types=types, run_ids=runs
        )
        begin = max(after, page.min_seq - 1)
        chunk_bytes = self._options.chunk_bytes
        if selection.everything:
            if until is None:
                self._heavy.note(session, page, limit=limit)
            sifted = join(page.items, after=begin, bytes_max=chunk_bytes)
        else:
            entries = (Entry(recorded) for recorded in page.items)
            sifted = sift(entries, selection, after=begin, bytes_max=chunk_bytes)
        through = sifted.through if sifted.ending is not None else max(page.through, begin)
        return Leaf(after, sifted.pieces, through, page.head, page.min_seq, sifted.ending)

    def _keep(self, key: Key, leaf: Leaf) -> None:
        self._drop(key)
        self._kept[key] = (self._clock.monotonic() + self._options.page_cache_s, leaf)
        self.bytes += leaf.size
        while self.bytes > self._options.page_cache_bytes:
            self._drop(next(iter(self._kept)))

    def _expire(self) -> None:
        now = self._clock.monotonic()
        # All live equally long and are never moved: the first is the oldest.
        while self._kept and (key := next(iter(self._kept))) and self._kept[key][0] <= now:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        if (kept := self._kept.pop(key, None)) is not None:
            self.bytes -= kept[1].size
