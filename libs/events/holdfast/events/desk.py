"""What a gateway does for its callers: sessions, runs, and what is asked of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from holdfast.events.commands import OnBusy
from holdfast.events.rows import Located, Run, SessionInfo, SessionName, SessionStatus
from holdfast.events.slots import check_request

# An answer is kept for a repeated request this long: more than any client's patience, and a bound on the table.
ANSWER_KEPT_S = 24 * 3600.0

# An application's own events that wait for a session's owner: 64 KB of data and as much of metadata each at most, so
# 128 MB; an owner settles a thousand in some seconds. Beyond it whoever asks is told to slow down, and a session
# without a worker doesn't grow.
OPEN_EMITS_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """A caller's word that two requests are the same one; `request_hash` tells whether they are."""

    key: str
    request_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A run that is asked for. Raises ValueError for a priority or a timeout that no run can have (see `slots`)."""

    workflow: str
    input: Any
    on_busy: OnBusy = OnBusy.ENQUEUE
    start_at: datetime | None = None
    user_id: str | None = None
    trace_id: str | None = None
    priority: int = 0
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        check_request(self.priority, self.timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEvent:
    """An application's own event: a type under `custom.`, and the event's fields."""

    type: str
    data: Mapping[str, Any]
    metadata: Mapping[str, Any] | None = None
    user_id: str | None = None
    trace_id: str | None = None

    def body(self) -> dict[str, Any]:
        """Return it as a command's body; what is empty is absent."""
        fields = {"metadata": self.metadata, "user_id": self.user_id, "trace_id": self.trace_id}
        return {"type": self.type, "data": self.data, **{k: v for k, v in fields.items() if v}}


@dataclass(frozen=True, slots=True)
class Ticket:
    """The answer to a request for a run: follow the session after `after` and nothing of it is missed."""

    run_id: str
    session_id: str
    session: int
    after: int


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Sessions, newest first, and the cursor of the next page, if there is one."""

    items: Sequence[SessionInfo]
    next_cursor: int | None


class Desk(Protocol):
    """What a gateway does for its callers. Everything asked becomes a command row under the session's lock.

    Raises Refused (see `errors`) for what can't be done and StoreUnavailable when Postgres is away. With an
    Idempotency, the same request again returns the first answer, for ANSWER_KEPT_S.
    """

    async def create_session(
        self,
        tenant: str,
        session_id: str | None,
        *,
        ttl_s: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency: Idempotency | None = None,
    ) -> SessionInfo:
        """Create a session; without an id, one is made."""
        ...

    async def start(
        self,
        tenant: str,
        session_id: str | None,
        request: RunRequest,
        *,
        idempotency: Idempotency | None = None,
    ) -> Ticket:
        """Ask for a run in a session; without a session id, in a new session.

        Raises SessionGone for a session that is over, and from the moment its erasure is asked for: nothing may
        follow that.
        """
        ...

    async def remembered(self, tenant: str, idempotency: Idempotency) -> Ticket | None:
        """Return the ticket that `start` gave to this very request before; None if it never did.

        For who must judge a new request, but may not judge again one that was answered.
        """
        ...

    async def cancel(
        self,
        tenant: str,
        run_id: str,
        *,
        reason: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> Run:
        """Ask for the end of a run; asking again while that is open changes nothing."""
        ...

    async def answer(
        self,
        tenant: str,
        run_id: str,
        input_id: str,
        value: Any,
        *,
        idempotency: Idempotency | None = None,
    ) -> Run:
        """Answer a run's request for input; the first answer counts."""
        ...

    async def steer(
        self, tenant: str, run_id: str, value: Any, *, idempotency: Idempotency | None = None
    ) -> Run:
        """Tell a run something it did not ask for; it sees what it is told in the order of telling."""
        ...

    async def emit(
        self,
        tenant: str,
        session_id: str,
        emission: OwnEvent,
        *,
        idempotency: Idempotency | None = None,
    ) -> SessionInfo:
        """Ask for an application's own event; the session's owner appends it after the head that is returned.

        Raises SessionGone for a session that is over, and from the moment its erasure is asked for, and TooManyEvents
        when OPEN_EMITS_MAX of them wait for an owner.
        """
        ...

    async def erase(
        self, tenant: str, session_id: str, *, reason: str | None = None
    ) -> SessionInfo:
        """Ask for the erasure of a session; asking again changes nothing."""
        ...

    async def session(self, tenant: str, session_id: str) -> SessionInfo:
        """Look a session up."""
        ...

    async def locate(self, names: Collection[SessionName]) -> Mapping[SessionName, Located]:
        """Look many sessions up by tenant and id, in one query; who has no session of that id is not in the answer."""
        ...

    async def run(self, tenant: str, run_id: str) -> Run:
        """Look a run up; one that nobody has taken up tells what holds it (`held_by`)."""
        ...

    async def runs(self, tenant: str, session_id: str, *, limit: int = 100) -> Sequence[Run]:
        """List a session's runs, newest first."""
        ...

    async def sessions(
        self,
        tenant: str,
        *,
        status: SessionStatus | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> SessionPage:
        """List a tenant's sessions, newest first; `before` is a page's `next_cursor`."""
        ...
