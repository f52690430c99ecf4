"""What one client has been told. Pure: the frames that may follow each other are decided here and nowhere else."""

from typing import Any

from holdfast.gateway import sse
from holdfast.gateway.ring import Piece


class OrderViolated(Exception):
    """The next frame would have skipped or repeated an event. Close the stream: the client's cursor is right."""


class Position:
    """A client's place in its session.

    `accounted` is the seq up to which nothing is owed to the client; `told` is the last id it was sent. They differ
    while events are filtered out.
    """

    __slots__ = ("accounted", "told")

    def __init__(self, cursor: int) -> None:
        self.accounted = self.told = cursor

    @property
    def untold(self) -> bool:
        """Whether the client's cursor is behind what is accounted for."""
        return self.told < self.accounted

    def take(self, piece: Piece) -> bytes:
        """Return the bytes of `piece`, led by an id-only frame where its first id is not one above the last.

        Raises OrderViolated unless the piece begins exactly where this position is.
        """
        follows = piece.after == self.accounted and piece.first > max(piece.after, self.told)
        if not follows or piece.last < piece.first:
            raise OrderViolated(
                f"events {piece.first}..{piece.last} account from {piece.after};"
                f" the client is at {self.accounted} and was told {self.told}"
            )
        lead = b"" if piece.first == self.told + 1 else sse.id_only(piece.first - 1)
        self.accounted = self.told = piece.last
        return lead + piece.frames

    def account(self, through: int) -> None:
        """Note that nothing is owed up to `through`: what is not sent was filtered out or compacted."""
        self.accounted = max(self.accounted, through)

    def stand(self, at: int) -> None:
        """Note that the client was sent everything up to `at` by others."""
        self.accounted = self.told = at

    def tell(self) -> bytes:
        """Return the id-only frame that moves the client's cursor to what is accounted for; nothing if it is there."""
        if not self.untold:
            return b""
        self.told = self.accounted
        return sse.id_only(self.accounted)

    def reset(self, seq: int, reason: str, **details: Any) -> bytes:
        """Return the frame that moves the client to `seq`, forwards or back, and go on from there."""
        self.accounted = self.told = seq
        return sse.reset(seq, reason, **details)
