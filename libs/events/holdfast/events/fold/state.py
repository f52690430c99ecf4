"""The state of a session at a seq, and what bounds it.

Entries are found by key in constant time and told in order of first appearance. On the wire every
table is a list (JavaScript reorders the keys of an object that look like numbers).
"""

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Generic, TypeVar, cast

from holdfast.events.codec import EVENT_BYTES_MAX
from holdfast.events.fold.entries import (
    Agent,
    Artifact,
    Component,
    Json,
    LlmCall,
    Message,
    Notification,
    PendingInput,
    Plan,
    Reasoning,
    Run,
    Session,
    Step,
    Task,
    ToolCall,
)

# A table forgets its oldest entry beyond this and counts it in `forgotten`: 10,000 messages of 500
# bytes are 5 MB, which is what one answer may weigh. Longer histories are read from the log, page
# by page.
ENTRIES_MAX = 10_000

# Notices are for the moment; the last hundred are two screens of them.
NOTIFICATIONS_MAX = 100

# Keys of the shared state. One snapshot event must hold it whole, so a real one is far smaller.
SHARED_KEYS_MAX = 10_000

# Code points of a text made of deltas, in every language. The whole text must fit one event to be
# completed, so more is never shown whole; unbounded, an endless delta stream would also cost
# quadratic time.
TEXT_CHARS_MAX = EVENT_BYTES_MAX

OPEN_STATUSES = frozenset({"queued", "pending", "running", "retrying", "waiting"})

E = TypeVar("E", bound=Mapping[str, Any])


class Table(Generic[E]):
    """Entries of one kind by key. Those that something may still happen to also stand in `open`."""

    __slots__ = ("_is_open", "_key", "all", "forgotten", "open")

    def __init__(self, *key: str, is_open: "Callable[[Any], bool]") -> None:
        self._key = itemgetter(*key)
        self._is_open = is_open
        self.all: dict[Hashable, E] = {}
        self.open: dict[Hashable, E] = {}
        self.forgotten = 0

    def put(self, entry: E) -> E:
        """Add a new entry at the end, or replace in place the one that has its key; return it."""
        key = self._key(entry)
        self.all[key] = entry
        if self._is_open(entry):
            self.open[key] = entry
        else:
            self.open.pop(key, None)
        if len(self.all) > ENTRIES_MAX:
            self.drop(next(iter(self.all)))
            self.forgotten += 1
        return entry

    def drop(self, key: Hashable) -> None:
        """Take an entry out, if it is there."""
        self.all.pop(key, None)
        self.open.pop(key, None)

    def settle(self, entry: E) -> None:
        """Note that an entry of this table was opened or closed in place."""
        key = self._key(entry)
        if not self._is_open(entry):
            self.open.pop(key, None)
        elif self.all.get(key) is entry:
            self.open[key] = entry

    def open_of(self, run_id: str | None) -> list[E]:
        """Return the open entries of a run."""
        return [entry for entry in self.open.values() if entry["run_id"] == run_id]

    def close(self, run_id: str | None, mark: str, value: Json) -> None:
        """Close all that is open of a run by setting `mark`."""
        for entry in self.open_of(run_id):
            cast("dict[str, Json]", entry)[mark] = value
            self.settle(entry)


def _by_status(entry: Any) -> bool:
    return entry["status"] in OPEN_STATUSES


def _unfinished(entry: Any) -> bool:
    return not (entry["complete"] or entry["cut"])


def _always(_entry: Any) -> bool:
    return True


def _never(_entry: Any) -> bool:
    return False


def new_session() -> Session:
    """Return a session of which nothing is known."""
    return {
        "session_id": None,
        "status": "active",
        "metadata": {},
        "ttl_s": None,
        "created_ts": None,
    }


@dataclass(slots=True, eq=False)
class State:
    """What the events up to `seq` add up to. Changed by `apply` alone.

    Ids of messages, reasoning, components and inputs are one space per session: a later run that
    repeats a message or renders a component again replaces it in place. Everything else is keyed
    within its run.
    """

    seq: int = 0
    session: Session = field(default_factory=new_session)
    stage: Json = None
    progress: Json = None
    checkpoint: Json = None
    shared: dict[str, Json] = field(default_factory=dict[str, Json])
    notifications: deque[Notification] = field(
        default_factory=lambda: deque[Notification](maxlen=NOTIFICATIONS_MAX)
    )
    runs: Table[Run] = field(default_factory=lambda: Table("run_id", is_open=_by_status))
    messages: Table[Message] = field(
        default_factory=lambda: Table("message_id", is_open=_unfinished)
    )
    reasoning: Table[Reasoning] = field(
        default_factory=lambda: Table("reasoning_id", is_open=_unfinished)
    )
    steps: Table[Step] = field(default_factory=lambda: Table("run_id", "key", is_open=_by_status))
    agents: Table[Agent] = field(
        default_factory=lambda: Table("run_id", "name", "lane", is_open=_by_status)
    )
    llm_calls: Table[LlmCall] = field(
        default_factory=lambda: Table("run_id", "call_id", is_open=_by_status)
    )
    tools: Table[ToolCall] = field(
        default_factory=lambda: Table("run_id", "call_id", is_open=_by_status)
    )
    plans: Table[Plan] = field(default_factory=lambda: Table("run_id", "plan_id", is_open=_never))
    tasks: Table[Task] = field(
        default_factory=lambda: Table("run_id", "task_id", is_open=_by_status)
    )
    components: Table[Component] = field(
        default_factory=lambda: Table("component_id", is_open=_never)
    )
    pending_inputs: Table[PendingInput] = field(
        default_factory=lambda: Table("input_id", is_open=_always)
    )
    artifacts: Table[Artifact] = field(
        default_factory=lambda: Table("run_id", "artifact_id", is_open=_never)
    )

    def clear(self) -> None:
        """Forget everything but the seq and the session's id."""
        fresh = State(seq=self.seq)
        fresh.session["session_id"] = self.session["session_id"]
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))


TABLES = (
    "runs",
    "messages",
    "reasoning",
    "steps",
    "agents",
    "llm_calls",
    "tools",
    "plans",
    "tasks",
    "components",
    "pending_inputs",
    "artifacts",
)
"""The tables, in the order in which they are told."""
