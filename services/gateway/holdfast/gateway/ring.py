"""The last frames of a session, made once for everybody who reads them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from holdfast.events.recorded import RecordedEvent
from holdfast.gateway import sse

# Joined frames are kept for the two cursors that were last asked for: nearly all live readers stand at one.
_JOINED_KEPT = 2


class Entry:
    """One event as its frame, with what filters ask for. The body is kept only inside of the frame."""

    __slots__ = ("_origin", "frame", "run_id", "seq", "type")

    def __init__(self, recorded: RecordedEvent) -> None:
        self.seq = recorded.seq
        self.type = recorded.type
        self.run_id = recorded.run_id
        self.frame = sse.frame(recorded)
        self._origin: tuple[str | None, str | None] | None = None

    @property
    def agent(self) -> str | None:
        """The agent that the event is of; parsed when first asked for."""
        return self._parsed()[0]

    @property
    def parent_run_id(self) -> str | None:
        """The run above the event's run; parsed when first asked for."""
        return self._parsed()[1]

    def _parsed(self) -> tuple[str | None, str | None]:
        if self._origin is None:
            envelope = orjson.loads(sse.body_of(self.frame))
            self._origin = (envelope.get("agent"), envelope.get("parent_run_id"))
        return self._origin


@dataclass(slots=True)
class Piece:
    """Frames for one write, never changed. They account for everything with `after < seq <= last`."""

    after: int
    first: int
    last: int
    events: int
    frames: bytes
    _chunk: bytes | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def chunk(self) -> bytes:
        """The frames as one chunk of an HTTP/1.1 response, made once for everybody."""
        if self._chunk is None:
            self._chunk = b"%x\r\n%b\r\n" % (len(self.frames), self.frames)
        return self._chunk


class Ring:
    """Contiguous entries from `floor` (exclusive) to `head`, bounded by count and bytes.

    The newest entry is always kept, so that a live reader never needs the store for it.
    """

    def __init__(self, head: int, *, events_max: int, bytes_max: int) -> None:
        self.floor = self.head = head
        self.bytes = 0
        self._events_max, self._bytes_max = events_max, bytes_max
        # By seq. Insertion order is seq order, so the oldest is at floor + 1.
        self._entries: dict[int, Entry] = {}
        self._joined: dict[int, Piece] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, entry: Entry) -> None:
        """Add the entry after the head; let the oldest go where bounds are passed."""
        if entry.seq != self.head + 1:
            raise ValueError(f"event {entry.seq} can't follow {self.head}")
        self._entries[entry.seq] = entry
        self.head = entry.seq
        self.bytes += len(entry.frame)
        self._joined.clear()
        if len(self._entries) > self._events_max:
            self._drop_oldest()
        while self.bytes > self._bytes_max and len(self._entries) > 1:
            self._drop_oldest()

    def restart(self, at: int) -> None:
        """Empty the ring and go on after seq `at`."""
        self._entries.clear()
        self._joined.clear()
        self.bytes = 0
        self.floor = self.head = at

    def forget(self, through: int) -> None:
        """Let go of the entries up to `through`."""
        while self.floor < min(through, self.head):
            self._drop_oldest()
        self._joined.clear()

    def entries(self, after: int) -> Iterator[Entry]:
        """Yield the entries after seq `after`, which must not be below the floor."""
        for seq in range(after + 1, self.head + 1):
            yield self._entries[seq]

    def joined(self, after: int, bytes_max: int) -> Piece:
        """Return the frames after seq `after`, as many as fit in `bytes_max` and at least one, as one piece.

        Readers at the same place get the same bytes object.
        """
        if (known := self._joined.get(after)) is not None:
            return known
        if after == self.head - 1:
            # What is live is one event, mostly.
            piece = Piece(after, self.head, self.head, 1, self._entries[self.head].frame)
        else:
            frames: list[bytes] = []
            size = 0
            for entry in self.entries(after):
                size += len(entry.frame)
                if frames and size > bytes_max:
                    break
                frames.append(entry.frame)
            piece = Piece(after, after + 1, after + len(frames), len(frames), b"".join(frames))
        while len(self._joined) >= _JOINED_KEPT:
            del self._joined[next(iter(self._joined))]
        self._joined[after] = piece
        return piece

    def _drop_oldest(self) -> None:
        self.floor += 1
        self.bytes -= len(self._entries.pop(self.floor).frame)
