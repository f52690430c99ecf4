"""From entries to pieces: the wanted frames, joined into writes. Pure; rings and pages go through the same code."""

from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.gateway import sse
from holdfast.gateway.ending import Ending
from holdfast.gateway.ring import Entry, Piece
from holdfast.gateway.selection import Selection


@dataclass(frozen=True, slots=True)
class Sifted:
    """The pieces, how far they account for, and the ending that came with the last entry, if one did."""

    pieces: tuple[Piece, ...]
    through: int
    ending: Ending | None
    selection: Selection
    examined: int


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
