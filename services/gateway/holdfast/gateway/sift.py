"""From entries to pieces: the wanted frames, joined into writes. Pure; rings and pages go through the same code.

But for pages of which all is wanted, the most of a wave of reconnects: what a filter would ask of an event takes longer
than its frame.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import PAGE_EVENTS_MAX, Lines
from holdfast.gateway import sse
from holdfast.gateway.ending import Ending
from holdfast.gateway.ring import Entry, Piece
from holdfast.gateway.selection import LAST, Selection

EVERYTHING_SELECTED = Selection()


@dataclass(frozen=True, slots=True)
class Sifted:
    """The pieces, how far they account for, and the ending that came with the last entry, if one did."""

    pieces: tuple[Piece, ...]
    through: int
    ending: Ending | None
    selection: Selection
    examined: int


def join(events: Iterable[RecordedEvent], *, after: int, bytes_max: int) -> Sifted:
    """Return what `sift` returns for a selection of everything."""
    pieces: list[Piece] = []
    frames: list[bytes] = []
    begin = through = after
    first = size = count = 0
    ending: Ending | None = None
    for recorded in events:
        frame, seq = sse.frame(recorded), recorded.seq
        if frames and size + len(frame) > bytes_max:
            pieces.append(Piece(begin, first, through, count, b"".join(frames)))
            frames, begin, size, count = [], through, 0, 0
        if not frames:
            first = seq
        elif seq != through + 1:
            frames.append(sse.id_only(seq - 1))
        frames.append(frame)
        size += len(frame)
        count += 1
        through = seq
        if (ending := LAST.get(recorded.type)) is not None:
            break
    if frames:
        pieces.append(Piece(begin, first, through, count, b"".join(frames)))
    return Sifted(tuple(pieces), through, ending, EVERYTHING_SELECTED, 0)


def join_lines(lines: Lines, *, after: int, bytes_max: int) -> Sifted:
    """Return what `join` returns for the same events."""
    bodies, first = lines.bodies, lines.first
    count = len(bodies)
    if not count:
        return Sifted((), after, None, EVERYTHING_SELECTED, 0)
    parts = [sse.END] * (3 * count)
    parts[0::3] = _labels(first, count)
    parts[1::3] = bodies
    last = first + count - 1
    frames = b"".join(parts)
    if len(frames) <= bytes_max:
        pieces = (Piece(after, first, last, count, frames),)
    else:
        pieces = tuple(_cut(parts, after=after, first=first, bytes_max=bytes_max))
    return Sifted(pieces, last, None, EVERYTHING_SELECTED, 0)


def _cut(parts: Sequence[bytes], *, after: int, first: int, bytes_max: int) -> Iterator[Piece]:
    """Yield pieces of at most `bytes_max` bytes (or one frame); a frame is three parts."""
    sizes = [sum(map(len, parts[at : at + 3])) for at in range(0, len(parts), 3)]
    begin = size = 0
    for end, more in enumerate([*sizes, bytes_max]):
        size += more
        if end > begin and size > bytes_max:
            last = first + end - 1
            yield Piece(
                after, first + begin, last, end - begin, b"".join(parts[3 * begin : 3 * end])
            )
            after, begin, size = last, end, more


def _labels(first: int, count: int) -> Sequence[bytes]:
    """Return what leads each of the frames."""
    block, at = divmod(first - 1, PAGE_EVENTS_MAX)
    labels = _block(block)[at : at + count]
    while len(labels) < count:
        block += 1
        labels += _block(block)[: count - len(labels)]
    return labels


# Most sessions of a wave are of about the same length, and all have a beginning: 64 × 35 KB.
@lru_cache(maxsize=64)
def _block(number: int) -> list[bytes]:
    begin = number * PAGE_EVENTS_MAX + 1
    return [sse.label(seq) for seq in range(begin, begin + PAGE_EVENTS_MAX)]


def sift(
    entries: Iterable[Entry],
    selection: Selection,
    *,
    after: int,
    bytes_max: int,
    pieces_max: int | None = None,
) -> Sifted:
    """Join the wanted frames into pieces of at most `bytes_max` bytes (or one frame).

    Where a seq is missing inside of a piece, an id-only frame accounts for it: entries in between were filtered out,
    or the page they come from is authoritative. Stops at the event that ends the stream, or before piece number
    `pieces_max + 1`.
    """
    pieces: list[Piece] = []
    frames: list[bytes] = []
    begin = through = last = after
    first = size = events = examined = 0
    ending: Ending | None = None

    def close() -> None:
        nonlocal frames, begin, size, events
        pieces.append(Piece(begin, first, last, events, b"".join(frames)))
        frames, begin, size, events = [], last, 0, 0

    for entry in entries:
        selection = selection.adopting(entry)
        if selection.wants(entry):
            if frames and size + len(entry.frame) > bytes_max:
                close()
                if pieces_max is not None and len(pieces) >= pieces_max:
                    break
            if not frames:
                first = entry.seq
            elif entry.seq != last + 1:
                frames.append(sse.id_only(entry.seq - 1))
            frames.append(entry.frame)
            size += len(entry.frame)
            events += 1
            last = entry.seq
        examined += 1
        through = entry.seq
        ending = selection.ending(entry)
        if ending is not None:
            break
    if frames:
        close()
    return Sifted(tuple(pieces), through, ending, selection, examined)
