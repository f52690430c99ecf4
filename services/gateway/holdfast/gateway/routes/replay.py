"""A session once more, at its own pace: for demonstrations, tests of clients, and looking at what happened."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from holdfast.events.cursor import parse_cursor
from holdfast.events.errors import SessionGone, StoreUnavailable
from holdfast.events.store import SessionStatus
from holdfast.gateway.gateway import Here
from holdfast.gateway.pace import SPEED_MAX, SPEED_MIN, Pace
from holdfast.gateway.params import CURSOR_FORM, Cursor, SessionId
from holdfast.gateway.problems import Problem, field_error
from holdfast.gateway.refusals import Why
from holdfast.gateway.replay import Replay
from holdfast.gateway.routes.answers import EVENT_STREAM, problems
from holdfast.gateway.seats import NoSeat
from holdfast.gateway.streaming import closed, passing_refusal, retry_ms
from holdfast.gateway.timed_stream import TimedStream
from holdfast.gateway.visitors import Visiting

# A double has at most 24 characters in JSON; nobody who means a speed sends more.
_SPEED = re.compile(r"(?=.{1,24}\Z)[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_SPEED_FORM: dict[str, Any] = {
    "type": "number",
    "anyOf": [{"const": 0}, {"minimum": SPEED_MIN, "maximum": SPEED_MAX}],
    "default": 1,
}

router = APIRouter(tags=["streams"])


@router.get(
    "/v1/sessions/{session_id}/replay",
    response_class=Response,
    responses={**EVENT_STREAM, **problems(400, 404, 410)},
)
async def replay(
    here: Here,
    visitor: Visiting,
    request: Request,
    session_id: SessionId,
    after: Cursor,
    until: Annotated[
        str | None,
        Query(description="the last seq to show; else the head", json_schema_extra=CURSOR_FORM),
    ] = None,
    speed: Annotated[
        str,
        Query(
            description="times the original pace; 0 = as fast as possible",
            json_schema_extra=_SPEED_FORM,
        ),
    ] = "1",
) -> Response:
    """Show recorded events again. Ends at `until`, or at the head that there was when it began."""
    pace = Pace(_speed(speed))
    last = None if until is None else parse_cursor(until)
    if why := closed(here):
        return passing_refusal(here, why)
    try:
        session = await here.session(visitor.principal.tenant, session_id)
    except StoreUnavailable:
        return passing_refusal(here, Why.STORE)
    if session.status is SessionStatus.ERASED:
        raise SessionGone(session.session_id, session.status)
    cursor = after or 0
    last = session.head if last is None else min(last, session.head)
    is_given = cursor > 0 or "last-event-id" in request.headers
    if is_given and last <= cursor <= session.head:
        # EventSource comes back after the end: without this it would begin again for ever.
        return Response(status_code=204)
    try:
        seat = here.seats.take(visitor, session.session)
    except NoSeat as full:
        return passing_refusal(here, full.why)
    return TimedStream(
        Replay(here, session, seat, after=cursor, until=last, pace=pace),
        retry_ms=retry_ms(here),
        deadline_s=here.settings.send_deadline_s,
    )


def _speed(text: str) -> float:
    speed = float(text) if _SPEED.fullmatch(text) else -1.0
    if speed == 0 or SPEED_MIN <= speed <= SPEED_MAX:
        return speed
    detail = f"is 0 or a number from {SPEED_MIN} to {SPEED_MAX:.0f}"
    raise Problem(
        400,
        "parameter-invalid",
        f"speed: {detail}",
        errors=[field_error("query", ["speed"], detail)],
    )
