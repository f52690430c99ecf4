"""Sessions: create, list, show, erase."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from holdfast.events.store import SessionStatus
from holdfast.gateway.gateway import Here
from holdfast.gateway.models import SessionDetail, SessionList, SessionView
from holdfast.gateway.params import IdempotencyKey, SessionId, idempotency
from holdfast.gateway.principal import Caller
from holdfast.gateway.requests import REASON_LENGTH_MAX, SessionCreate
from holdfast.gateway.routes.answers import problems
from holdfast.gateway.views import run_summary, session_detail, session_view

SESSIONS_LIMIT_MAX = 200

# A session's answer names this many of its runs, the newest.
RUNS_SHOWN_MAX = 100

# Printable: U+0000 and the like can't be recorded.
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

router = APIRouter(tags=["sessions"])


@router.post("/v1/sessions", status_code=201, responses=problems(409, 503, body=True))
async def create_session(
    here: Here,
    caller: Caller,
    response: Response,
    key: IdempotencyKey,
    body: SessionCreate | None = None,
) -> SessionView:
    """Create a session."""
    body = body or SessionCreate()
    session = await here.store.desk.create_session(
        caller.tenant,
        body.session_id,
        ttl_s=body.ttl_s,
        metadata=body.metadata,
        idempotency=idempotency(key, "create-session", body.model_dump(mode="json")),
    )
    await here.hint(session.session)
    response.headers["location"] = f"/v1/sessions/{session.session_id}"
    return session_view(session)


@router.get("/v1/sessions", responses=problems(422, 503))
async def list_sessions(
    here: Here,
    caller: Caller,
    response: Response,
    status: Annotated[SessionStatus | None, Query(description="only those")] = None,
    limit: Annotated[int, Query(ge=1, le=SESSIONS_LIMIT_MAX)] = 50,
    cursor: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,18}$", description="a page's `next_cursor`")
    ] = None,
) -> SessionList:
    """List sessions, newest first."""
    before = None if cursor is None else int(cursor)
    page = await here.store.desk.sessions(caller.tenant, status=status, limit=limit, before=before)
    following = None if page.next_cursor is None else str(page.next_cursor)
    if following is not None:
        wanted = f"&status={status}" if status else ""
        response.headers["link"] = (
            f'</v1/sessions?cursor={following}&limit={limit}{wanted}>; rel="next"'
        )
    return SessionList(items=[session_view(item) for item in page.items], next_cursor=following)


@router.get("/v1/sessions/{session_id}", responses=problems(404, 503))
async def show_session(here: Here, caller: Caller, session_id: SessionId) -> SessionDetail:
    """Show a session and its latest runs."""
    session = await here.store.desk.session(caller.tenant, session_id)
    runs = await here.store.desk.runs(caller.tenant, session_id, limit=RUNS_SHOWN_MAX)
    return session_detail(session, [run_summary(run) for run in runs])


@router.delete("/v1/sessions/{session_id}", status_code=202, responses=problems(404, 422, 503))
async def erase_session(
    here: Here,
    caller: Caller,
    session_id: SessionId,
    reason: Annotated[
        str | None,
        Query(max_length=REASON_LENGTH_MAX, pattern=_PRINTABLE, description="recorded"),
    ] = None,
) -> SessionView:
    """Ask for the erasure of a session: its events go for good, a tombstone stays."""
    session = await here.store.desk.erase(caller.tenant, session_id, reason=reason)
    await here.hint(session.session)
    return session_view(session)
