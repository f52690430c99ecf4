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
from holdfast.events.fold.weight import entry_weight, weight

# A table forgets its oldest entry beyond this and counts it in `forgotten`.
ENTRIES_MAX = 10_000

# And beyond this weight of all tables together the heaviest one forgets: that leaves the newest
# 1,000 answers of a page each. A state is some 4 MB of JSON at most, of texts that aren't ASCII
# three times that: it fits a snapshot, and an answer. Longer histories are read from the log, page
# by page.
WEIGHT_MAX = 4 * 1024 * 1024

# Notices are for the moment; the last hundred are two screens of them.
NOTIFICATIONS_MAX = 100

# Keys of the shared state, and their weight: one snapshot event must hold it whole, so a real one is
# smaller. (JSON weighs four units for a byte at most: a number of one digit and its comma.)
SHARED_KEYS_MAX = 10_000
SHARED_WEIGHT_MAX = 4 * EVENT_BYTES_MAX

# Code points of a text made of deltas, in every language. The whole text must fit one event to be
# completed, so more is never shown whole; unbounded, an endless delta stream would also cost
# quadratic time.
TEXT_CHARS_MAX = EVENT_BYTES_MAX

OPEN_STATUSES = frozenset({"queued", "pending", "running", "retrying", "waiting"})

E = TypeVar("E", bound=Mapping[str, Any])


class Table(Generic[E]):
    """Entries of one kind by key. Those that something may still happen to also stand in `open`.

    An entry that is in the table is changed by `change` alone, which keeps account of its weight.
    """

    __slots__ = ("_is_open", "_key", "all", "forgotten", "open", "weight")

    def __init__(self, *key: str, is_open: "Callable[[Any], bool]") -> None:
        self._key = itemgetter(*key)
        self._is_open = is_open
        self.all: dict[Hashable, E] = {}
        self.open: dict[Hashable, E] = {}
        self.forgotten = 0
        self.weight = 0

    def put(self, entry: E) -> E:
        """Add a new entry at the end, or replace in place the one that has its key; return it."""
        key = self._key(entry)
        replaced = self.all.get(key)
        self.weight += entry_weight(entry) - (entry_weight(replaced) if replaced else 0)
        self.all[key] = entry
        self._settle(key, entry)
        if len(self.all) > ENTRIES_MAX:
            self.forget()
        return entry

    def change(self, entry: E, **fields: Json) -> None:
        """Set fields of an entry of this table, in place."""
        changed = cast("dict[str, Json]", entry)
        for name, value in fields.items():
            self.weight += weight(value) - weight(changed[name])
            changed[name] = value
        self._settle(self._key(entry), entry)

    def drop(self, key: Hashable) -> None:
        """Take an entry out, if it is there."""
        entry = self.all.pop(key, None)
        if entry is not None:
            self.weight -= entry_weight(entry)
            self.open.pop(key, None)

    def forget(self) -> None:
        """Let the oldest entry go, and count it."""
        self.drop(next(iter(self.all)))
        self.forgotten += 1

    def _settle(self, key: Hashable, entry: E) -> None:
        if self._is_open(entry):
            self.open[key] = entry
        else:
            self.open.pop(key, None)

    def open_of(self, run_id: str | None) -> list[E]:
        """Return the open entries of a run."""
        return [entry for entry in self.open.values() if entry["run_id"] == run_id]

    def close(self, run_id: str | None, mark: str, value: Json) -> None:
        """Close all that is open of a run by setting `mark`."""
        for entry in self.open_of(run_id):
            self.change(entry, **{mark: value})


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
    shared_weight: int = 0
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

    @property
    def tables(self) -> tuple[Table[Any], ...]:
        """All tables, in the order in which they are told."""
        return (
            self.runs,
            self.messages,
            self.reasoning,
            self.steps,
            self.agents,
            self.llm_calls,
            self.tools,
            self.plans,
            self.tasks,
            self.components,
            self.pending_inputs,
            self.artifacts,
        )

    def trim(self) -> None:
        """Let the oldest entries of the heaviest tables go until all together are light enough."""
        tables = self.tables
        while sum(table.weight for table in tables) > WEIGHT_MAX:
            # Of two that weigh the same, the one that is told first.
            max(tables, key=lambda table: table.weight).forget()

    def share(self, values: Mapping[str, Json]) -> None:
        """Set keys of the shared state; beyond its bounds the oldest go."""
        # Key by key: the values belong to the event, the mapping must not.
        for key, value in values.items():
            if key in self.shared:
                self.shared_weight -= weight(key) + weight(self.shared[key])
            self.shared_weight += weight(key) + weight(value)
            self.shared[key] = value
        while len(self.shared) > SHARED_KEYS_MAX or self.shared_weight > SHARED_WEIGHT_MAX:
            self.unshare(next(iter(self.shared)))

    def unshare(self, key: str) -> None:
        """Take a key of the shared state out, if it is there."""
        if key in self.shared:
            self.shared_weight -= weight(key) + weight(self.shared.pop(key))

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
