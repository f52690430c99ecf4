"""A session once more, at its own pace: for demonstrations, tests of clients, and looking at what happened."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sse_starlette.sse import EventSourceResponse

from holdfast.events.cursor import parse_cursor
from holdfast.events.errors import SessionGone, StoreUnavailable
from holdfast.events.store import SessionInfo, SessionStatus
from holdfast.gateway import sse
from holdfast.gateway.gateway import Gateway, Here
from holdfast.gateway.pace import SPEED_MAX, SPEED_MIN, Pace
from holdfast.gateway.params import Cursor, SessionId
from holdfast.gateway.principal import Caller
from holdfast.gateway.problems import Problem, field_error
from holdfast.gateway.response import STREAM_HEADERS
from holdfast.gateway.routes.answers import EVENT_STREAM, problems
from holdfast.gateway.streaming import full, passing_refusal, retry_ms

# As fast as possible still means a write and a turn of the loop for each so many frames.
FRAMES_PER_WRITE = 50

# A pause is slept in slices, so that a drain doesn't wait for the longest of 100 s.
PAUSE_SLICE_S = 1.0

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
    last = session.head if last is None else min(last, session.head)
    if "last-event-id" in request.headers and (after or 0) >= last:
        # EventSource comes back after the end: without this it would begin again for ever.
        return Response(status_code=204)
    return EventSourceResponse(
        _frames(here, session, after=after or 0, until=last, pace=pace),
        headers=STREAM_HEADERS,
        sep="\n",
        ping=0,  # our own heartbeat: theirs is CRLF by default and shows the time of day
        send_timeout=here.settings.send_deadline_s,
    )


async def _frames(
    here: Gateway, session: SessionInfo, *, after: int, until: int, pace: Pace
) -> AsyncIterator[bytes]:
    yield sse.retry(retry_ms(here))
    cursor = sent = after
    pending: list[bytes] = []
    while cursor < until:
        try:
            page = await here.store.reader.read(session.session, after=cursor, until=until)
        except StoreUnavailable:
            return  # the client comes back with its cursor
        for recorded in page.items:
            pause = pace.pause_before(recorded.ts)
            if pending and (pause or len(pending) >= FRAMES_PER_WRITE):
                yield b"".join(pending)
                pending.clear()
                # After a disconnect a write no longer waits: without this turn of the loop
                # nobody would ever learn of it.
                await here.clock.sleep(0)
            silent = 0.0
            while pause > 0:
                await here.clock.sleep(min(pause, PAUSE_SLICE_S))
                pause -= PAUSE_SLICE_S
                silent += PAUSE_SLICE_S
                if here.draining:
                    return
                if silent >= here.settings.heartbeat_s:
                    silent = 0.0
                    yield sse.HEARTBEAT
            if recorded.seq > sent + 1:
                # Compacted or erased: an id may only jump in a frame that says so.
                pending.append(sse.id_only(recorded.seq - 1))
            pending.append(sse.frame(recorded))
            sent = recorded.seq
        if here.draining or page.through <= cursor:
            break
        cursor = page.through
    if cursor >= until:
        pending.append(sse.control("caught-up", {"head": until}))
    if pending:
        yield b"".join(pending)


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
