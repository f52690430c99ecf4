"""Everything that can go wrong with events, as one tree. Adapters wrap their driver's error once, with `from`.

HoldfastError
├── EventInvalid            the event can't be written as it stands (caller's fault, nothing was appended)
│   └── EventTooLarge
├── CursorInvalid           the text is no cursor
├── StoreError
│   ├── StoreUnavailable    Postgres is away or the outcome is unknown; the same call may be made again
│   │   ├── StoreBusy       somebody else holds a row that the call needs; nothing was done
│   │   └── LogChanged      the address leads to another log than the one that was opened; nothing was done
│   ├── AppendRefused       one event breaks a rule of the log (a key or a terminal event that exists), or can't be held
│   └── MigrationError      the schema is not what this version needs
├── StreamUnavailable       Redis is away or refuses; the log is unharmed, publishing is late
└── Refused                 what was asked can't be done; carries a code that the HTTP layer knows
    ├── SessionUnknown, RunUnknown, InputUnknown
    ├── SessionExists, SessionGone, SessionBusy
    ├── RunEnded, InputAnswered
    └── KeyReused, KeyInFlight
"""


class HoldfastError(Exception):
    """The base of every error that Holdfast raises on purpose."""


class EventInvalid(HoldfastError):
    """The event cannot be written as canonical JSON."""


class EventTooLarge(EventInvalid):
    """The encoded event is over the cap; store the content elsewhere and record a reference."""

    def __init__(self, type_: str, size: int, cap: int) -> None:
        super().__init__(f"a {type_} event of {size:,} bytes is over the cap of {cap:,} bytes")
        self.type, self.size, self.cap = type_, size, cap


class CursorInvalid(HoldfastError):
    """The text is not a cursor: a decimal seq of at most 19 digits, optionally `-` and up to 16 hex digits."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:40]!r} is not a cursor; a cursor is the decimal id of an event, such as 42"
        )
        self.text = text


class StoreError(HoldfastError):
    """The base of what the store raises."""


class StoreUnavailable(StoreError):
    """Postgres did not answer, or the outcome of a write is unknown. Make the same call again."""


class StoreBusy(StoreUnavailable):
    """Somebody else held a row for longer than the call may wait. Nothing was done: make the same call again.

    What concerns several sessions is best asked again session by session, so that one that is stuck doesn't stop its
    neighbours.
    """


class LogChanged(StoreUnavailable):
    """The database is not, or no longer in a form that this version knows, the log that this process opened.

    To every caller it is as if Postgres were away, for good: only a process that begins anew can go on.
    """


class AppendRefused(StoreError):
    """Postgres refuses one row for good: its key or its run's terminal event is recorded, or it can't be stored."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"the log refused an event: {rule}")
        self.rule = rule


class MigrationError(StoreError):
    """The database's schema is not one that this version can bring up to date."""


class StreamUnavailable(HoldfastError):
    """Redis did not answer or refused a write. Nothing is lost: the store has every event."""


class Refused(HoldfastError):
    """What was asked of a session or run cannot be done; `code` names why, in kebab case."""

    code = "refused"


class SessionUnknown(Refused):
    """No such session for this tenant."""

    code = "session-unknown"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"no session {session_id!r}")
        self.session_id = session_id


class RunUnknown(Refused):
    """No such run for this tenant."""

    code = "run-unknown"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"no run {run_id!r}")
        self.run_id = run_id


class InputUnknown(Refused):
    """The run never asked for this input."""

    code = "input-unknown"

    def __init__(self, run_id: str, input_id: str) -> None:
        super().__init__(f"run {run_id!r} does not wait for an input {input_id!r}")
        self.run_id, self.input_id = run_id, input_id


class SessionExists(Refused):
    """A session of this id was created before."""

    code = "session-exists"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session {session_id!r} already exists")
        self.session_id = session_id


class SessionGone(Refused):
    """The session was erased or has expired: it takes no commands."""

    code = "session-gone"

    def __init__(self, session_id: str, status: str) -> None:
        super().__init__(f"session {session_id!r} is {status} and takes no commands")
        self.session_id, self.status = session_id, status


class SessionBusy(Refused):
    """Another run of the session is not finished and `on_busy` said to reject."""

    code = "session-busy"

    def __init__(self, session_id: str, run_id: str) -> None:
        super().__init__(f"session {session_id!r} is busy with run {run_id!r}")
        self.session_id, self.run_id = session_id, run_id


class RunEnded(Refused):
    """The run has ended; nothing can be asked of it."""

    code = "run-ended"

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(f"run {run_id!r} has ended: {status}")
        self.run_id, self.status = run_id, status


class TooManyEvents(Refused):
    """As many of an application's own events wait for the session's owner as may; ask again in a moment."""

    code = "too-many-open-events"

    def __init__(self, session_id: str, most: int) -> None:
        super().__init__(
            f"{most} events wait to be appended to session {session_id!r}: slow down, and ask again in a moment"
        )
        self.session_id, self.most = session_id, most


class InputAnswered(Refused):
    """This input was answered before; the first answer stands."""

    code = "input-answered"

    def __init__(self, input_id: str) -> None:
        super().__init__(f"input {input_id!r} was already answered")
        self.input_id = input_id


class KeyReused(Refused):
    """The idempotency key was used before, for a different request."""

    code = "idempotency-key-reused"

    def __init__(self, key: str) -> None:
        super().__init__(f"idempotency key {key!r} was used for a different request")
        self.key = key


class KeyInFlight(Refused):
    """The first request with this idempotency key is not finished; ask again in a moment."""

    code = "idempotency-key-in-flight"

    def __init__(self, key: str) -> None:
        super().__init__(f"the first request with idempotency key {key!r} is still in flight")
        self.key = key
