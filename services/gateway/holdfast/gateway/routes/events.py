"""The log as JSON pages, in the same coordinate as the streams: a client may change from one to the other."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from holdfast.events.errors import SessionGone
from holdfast.events.store import PAGE_EVENTS_MAX, OwnEvent, Page, SessionInfo, SessionStatus
from holdfast.gateway.catchup import scan_end
from holdfast.gateway.gateway import Here
from holdfast.gateway.models import EventAccepted, EventPage
from holdfast.gateway.params import After, IdempotencyKey, SessionId, TraceId, Types, idempotency
from holdfast.gateway.principal import Caller
from holdfast.gateway.problems import Problem
from holdfast.gateway.requests import EventCreate
from holdfast.gateway.routes.answers import problems

router = APIRouter(tags=["events"])


@router.get(
    "/v1/sessions/{session_id}/events",
    response_class=Response,
    responses={
        200: {"model": EventPage, "description": "a page"},
        **problems(400, 404, 409, 410, 422, 503),
    },
)
async def list_events(
    here: Here,
    caller: Caller,
    session_id: SessionId,
    after: After,
    types: Types,
    limit: Annotated[int, Query(ge=1, le=PAGE_EVENTS_MAX)] = 100,
) -> Response:
    """Read events as JSON, each byte for byte as it was recorded."""
    session = await here.store.desk.session(caller.tenant, session_id)
    check_cursor(session, after or 0)
    page = await here.store.reader.read(
        session.session,
        after=after or 0,
        limit=limit,
        until=scan_end(after or 0) if types else None,
        types=types or None,
    )
    return Response(_page_json(page), media_type="application/json")


@router.post(
    "/v1/sessions/{session_id}/events",
    status_code=202,
    responses=problems(404, 409, 410, 429, 503, body=True),
)
async def publish_event(
    here: Here,
    caller: Caller,
    session_id: SessionId,
    key: IdempotencyKey,
    trace_id: TraceId,
    body: EventCreate,
) -> EventAccepted:
    """Publish an event of your own; the session's owner appends it, in its turn among the others."""
    own = OwnEvent(
        type=body.type,
        data=body.data,
        metadata=body.metadata,
        user_id=caller.subject,
        trace_id=trace_id,
    )
    session = await here.store.desk.emit(
        caller.tenant,
        session_id,
        own,
        idempotency=idempotency(key, "emit", session_id, body.model_dump(mode="json")),
    )
    await here.hint(session.session)
    return EventAccepted(session_id=session.session_id, after=session.head)


def check_cursor(session: SessionInfo, after: int) -> None:
    """Raise Problem or SessionGone when a JSON answer from this cursor on would be a lie."""
    if session.status is SessionStatus.ERASED:
        raise SessionGone(session.session_id, session.status)
    if after > session.head:
        raise Problem(
            409,
            "cursor-ahead",
            f"the cursor {after} is beyond the session's last event, {session.head}",
            head=session.head,
        )
    # 0 means "from the beginning", whatever that is by now; any other cursor was given to someone who must
    # be told that what follows it is no longer all there.
    if 0 < after < session.min_seq - 1:
        raise Problem(
            410,
            "cursor-expired",
            f"events up to {session.min_seq - 1} are no longer kept; read on from after={session.min_seq - 1}",
            head=session.head,
            min_seq=session.min_seq,
        )


def _page_json(page: Page) -> bytes:
    # Joined, never parsed: what was recorded is what is sent.
    items = b",".join(event.body for event in page.items)
    return b'{"items":[%b],"next_after":%d,"head":%d,"min_seq":%d}' % (
        items,
        page.through,
        page.head,
        page.min_seq,
    )
