"""A session once more, at its own pace: for demonstrations, tests of clients, and looking at what happened."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from holdfast.events.cursor import parse_cursor
from holdfast.events.errors import SessionGone, StoreUnavailable
from holdfast.events.store import SessionStatus
from holdfast.gateway.gateway import Here
from holdfast.gateway.pace import SPEED_MAX, SPEED_MIN, Pace
from holdfast.gateway.params import Cursor, SessionId
from holdfast.gateway.principal import Caller
from holdfast.gateway.problems import Problem, field_error
from holdfast.gateway.replay import Replay
from holdfast.gateway.routes.answers import EVENT_STREAM, problems
from holdfast.gateway.streaming import full, passing_refusal, retry_ms
from holdfast.gateway.timed_stream import TimedStream

router = APIRouter(tags=["streams"])


@router.get(
    "/v1/sessions/{session_id}/replay",
    response_class=Response,
    responses={**EVENT_STREAM, **problems(400, 404, 410)},
)
async def replay(
    here: Here,
    caller: Caller,
    request: Request,
    session_id: SessionId,
    after: Cursor,
    until: Annotated[str | None, Query(description="the last seq to show; else the head")] = None,
    speed: Annotated[
        str, Query(description="times the original pace; 0 = as fast as possible")
    ] = "1",
) -> Response:
    """Show recorded events again. Ends at `until`, or at the head that there was when it began."""
    pace = Pace(_speed(speed))
    last = None if until is None else parse_cursor(until)
    if full(here):
        return passing_refusal(here)
    try:
        session = await here.store.desk.session(caller.tenant, session_id)
    except StoreUnavailable:
        return passing_refusal(here)
    if session.status is SessionStatus.ERASED:
        raise SessionGone(session.session_id, session.status)
    cursor = after or 0
    last = session.head if last is None else min(last, session.head)
    is_given = cursor > 0 or "last-event-id" in request.headers
    if is_given and last <= cursor <= session.head:
        # EventSource comes back after the end: without this it would begin again for ever.
        return Response(status_code=204)
    return TimedStream(
        Replay(here, session, after=cursor, until=last, pace=pace),
        retry_ms=retry_ms(here),
        deadline_s=here.settings.send_deadline_s,
    )


def _speed(text: str) -> float:
    try:
        speed = float(text) if len(text) <= len("1000.000") and text.isascii() else -1.0
    except ValueError:
        speed = -1.0
    if speed == 0 or SPEED_MIN <= speed <= SPEED_MAX:
        return speed
    detail = f"is 0 or a number from {SPEED_MIN} to {SPEED_MAX:.0f}"
    raise Problem(
        400,
        "parameter-invalid",
        f"speed: {detail}",
        errors=[field_error("query", ["speed"], detail)],
    )
