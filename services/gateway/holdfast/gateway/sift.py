"""From entries to pieces: the wanted frames, joined into writes. Pure; rings and pages go through the same code.

But for pages of which all is wanted, the most of a wave of reconnects: what a filter would ask of an event takes longer
than its frame.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.events.recorded import RecordedEvent
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
