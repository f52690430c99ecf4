"""What a session has committed and its stream doesn't have yet."""

from collections.abc import Sequence

from holdfast.events.catalog import TERMINAL_TYPES
from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import REBASE_EVENTS, News
from holdfast.orchestrator.session_log import SessionLog

# While Redis is away, or refuses a session: one try a session after 0.1 s, doubling to 2 s. Gateways ask the store
# every second meanwhile.
RETRY_FIRST_S = 0.1
RETRY_LAST_S = 2.0

# After these the session is at rest unless something follows, and whatever follows keeps the window.
_RESTING_TYPES = TERMINAL_TYPES | {
    "session.created",
    "session.expired",
    "session.erased",
    "command.accepted",
    "command.rejected",
}


class Backlog:
    """What a session has committed but not published; more than a window's worth is read from the store again."""

    def __init__(self, session: SessionLog, head: int) -> None:
        self.session, self.head = session, head
        self.events: list[RecordedEvent] = []
        self.reread = False
        self.doubt_beyond: int | None = None  # an entry of a greater seq is not from this log
        self.resting = False  # until it is tried again
        self.wait = RETRY_FIRST_S

    @property
    def at_rest(self) -> bool:
        """Whether the window may expire when nothing follows."""
        return bool(self.events) and may_rest(self.events[-1])

    @property
    def erases(self) -> bool:
        """Whether it ends with the session's erasure: nothing that was published before it may stay."""
        return bool(self.events) and erases(self.events[-1])

    @property
    def plain(self) -> bool:
        """Whether it takes no more than to append it to the window, as it almost always does."""
        return (
            bool(self.events) and not self.reread and self.doubt_beyond is None and not self.erases
        )

    def news(self) -> News:
        """Return what is published of it."""
        return News(self.session.session, self.events, self.at_rest)

    def again(self) -> float:
        """Return how long to wait before the next try, longer each time."""
        wait, self.wait = self.wait, min(self.wait * 2, RETRY_LAST_S)
        return wait

    def add(self, events: Sequence[RecordedEvent]) -> None:
        """Take in what was committed now."""
        if not events:
            return
        self.events.extend(events)
        self.head = events[-1].seq
        if len(self.events) > REBASE_EVENTS:
            self.reread = True
        if self.reread:
            del self.events[:-1]

    def follow(self, later: "Backlog") -> None:
        """Take in what was committed while this was tried; `later` may have dropped its first events already."""
        self.reread = self.reread or later.reread
        self.add(later.events)


def may_rest(last: RecordedEvent) -> bool:
    """Tell whether a window that ends with this event may expire: nothing is under way, unless something follows."""
    return last.type in _RESTING_TYPES or last.run_id is None


def erases(last: RecordedEvent) -> bool:
    """Tell whether a window that ends with this event may hold nothing but it."""
    return last.type == "session.erased"
