"""A history: everything that anybody wrote down while a system ran. The checker reads it and nothing else.

Every time is in seconds of one wall clock; who collects a history converts. What nobody could observe is left out:
each invariant holds the parts that are there against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from holdfast.events.kinds import TypeFilter, is_terminal
from holdfast.verify.log import LogEvent, SessionLog

# A committed event reaches every connected client within 10 s, also without Redis; what is owed at rest is held to it.
BOUND_S = 10.0


class Outcome(StrEnum):
    """What a writer learned of its append."""

    OK = "ok"
    FENCED = "fenced"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """An event that a writer handed to the store, one entry of a producer log."""

    writer: str
    session: str
    seq: int
    digest: bytes
    asked_at: float
    outcome: Outcome
    epoch: int | None = None


class Got(StrEnum):
    """What a frame was."""

    EVENT = "event"
    ID = "id"  # an id without an event: accounted for up to here
    RESET = "reset"
    CONTROL = "control"
    BROKEN = "broken"  # not a frame of the protocol


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame that a client received whole."""

    kind: Got
    seq: int  # its id; 0 for a frame without one
    at: float
    digest: bytes = b""  # of the event's bytes
    session: str | None = None  # whom the bytes name, where it isn't the session that was asked for
    said: str = ""  # a control frame's name; what is wrong with a broken one
    live: bool = False  # after this connection's `caught-up`


@dataclass(frozen=True, slots=True)
class Want:
    """What a client asked for: some types of a session's events, or those of a run and the runs below it."""

    types: tuple[str, ...] = ()
    run_id: str | None = None

    def passes(self, event: LogEvent, family: frozenset[str], types: TypeFilter) -> bool:
        """Tell whether `event` is wanted; `types` is `self.types` made ready, `family` the run's."""
        if self.run_id is None:
            return types.passes(event.type)
        if event.run_id not in family:
            return False
        return types.passes(event.type) or (event.run_id == self.run_id and is_terminal(event.type))


class Ending(StrEnum):
    """How a connection ended."""

    OPEN = "open"
    CUT = "cut"  # by its client, on purpose
    LEFT = "left"  # its client was told to go
    END = "end"  # the stream did
    LOST = "lost"  # in the middle: a crash, a timeout


@dataclass(slots=True, kw_only=True)
class Connection:
    """One response that a client read: from which cursor it asked, and what came."""

    gateway: str
    cursor: int
    at: float
    seen: list[Seen] = field(default_factory=list[Seen])
    ending: Ending = Ending.OPEN

    @property
    def reached(self) -> int:
        """The last id, or the cursor that was asked from."""
        return next((seen.seq for seen in reversed(self.seen) if seen.seq), self.cursor)


@dataclass(slots=True, kw_only=True)
class Client:
    """One reader of one stream, over all its connections."""

    name: str
    session: str
    want: Want = Want()
    connections: list[Connection] = field(default_factory=list[Connection])
    stayed: bool = False  # it was there until everything had come to rest

    @property
    def reached(self) -> int | None:
        """The last id of its last connection; None if it never got one."""
        return self.connections[-1].reached if self.connections else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What somebody else has of a session's log: the Redis window, another gateway's pages."""

    name: str
    session: str
    events: Sequence[tuple[int, bytes]]  # seq and digest, as they were read
    whole: bool  # whether it claims to be the whole log, or only a range of it


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run's row, at rest."""

    run_id: str
    session: str
    status: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """A command's row, at rest."""

    command_id: str
    session: str
    kind: str
    state: str
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Something that was asked of a session and answered with success."""

    kind: str  # start or cancel
    session: str
    run_id: str
    at: float
    key: str | None = None  # the idempotency key


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A step's function was called, as the outside noted it."""

    session: str
    run_id: str
    step: str
    attempt: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A resource before the clients came and after they had gone, and the most it may be then."""

    process: str
    name: str
    before: float
    after: float
    most: float


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to the system on purpose."""

    at: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All of it. `settled`: everything had come to rest before the truth was read, so nothing may be owed."""

    logs: Sequence[SessionLog] = ()
    clients: Sequence[Client] = ()
    appends: Sequence[Append] = ()
    copies: Sequence[Copy] = ()
    runs: Sequence[RunRow] = ()
    commands: Sequence[CommandRow] = ()
    asks: Sequence[Ask] = ()
    calls: Sequence[Call] = ()
    measures: Sequence[Measure] = ()
    settled: bool = True
    one_clock: bool = False  # the log's times and the clients' are of one machine
    bound_s: float = BOUND_S
    seed: int | str | None = None
    schedule: Sequence[Fault] = ()
