"""What a stream says about itself between the events: that it caught up, that its run stalled. Pure."""

from datetime import datetime

from holdfast.events.codec import format_ts
from holdfast.gateway import sse
from holdfast.gateway.position import Position


class Commentary:
    """The control frames of one connection, each said once."""

    __slots__ = ("_connect_head", "_stalled_since")

    def __init__(self) -> None:
        self._connect_head: int | None = None
        self._stalled_since: datetime | None = None

    def connected(self, head: int) -> None:
        """Note the head read at connect: `caught-up` is due when it is accounted for."""
        self._connect_head = head

    def rewind(self, head: int) -> None:
        """What lay beyond `head` can't be caught up with any more."""
        if self._connect_head is not None:
            self._connect_head = min(self._connect_head, head)

    def silent(self, stalled_since: datetime | None) -> bool:
        """Return whether nothing is due, wherever the client stands."""
        return self._connect_head is None and stalled_since == self._stalled_since

    def due(self, position: Position, stalled_since: datetime | None) -> list[bytes]:
        """Return the frames that are due."""
        if self.silent(stalled_since):
            return []
        said: list[bytes] = []
        if self._connect_head is not None and position.accounted >= self._connect_head:
            # The cursor first: a client that leaves after `caught-up` must not be owed anything before it.
            said += (position.tell(), sse.control("caught-up", {"head": self._connect_head}))
            self._connect_head = None
        if stalled_since is None and self._stalled_since is not None:
            said.append(sse.control("live", {}))
        elif stalled_since is not None and self._stalled_since is None:
            # Once, however often the moment is computed anew.
            said.append(sse.control("stalled", {"since": format_ts(stalled_since)}))
        self._stalled_since = stalled_since
        return said
