"""The live streams, of a session and of a run. Everything is judged before the first byte; then the hub feeds it."""

from fastapi import APIRouter, Response

from holdfast.events.errors import SessionGone, SessionUnknown, StoreUnavailable
from holdfast.events.store import SessionStatus
from holdfast.gateway.gateway import Gateway, Here
from holdfast.gateway.handover import HandedOver
from holdfast.gateway.params import Agent, Cursor, RunId, SessionId, Types
from holdfast.gateway.refusals import Why
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.response import EventStreamResponse
from holdfast.gateway.routes.answers import EVENT_STREAM, problems
from holdfast.gateway.seats import NoSeat, Visitor
from holdfast.gateway.streaming import closed, passing_refusal, retry_ms
from holdfast.gateway.visitors import Visiting

_RESPONSES = {**EVENT_STREAM, **problems(400, 404, 410)}

router = APIRouter(tags=["streams"])


@router.get("/v1/sessions/{session_id}/stream", response_class=Response, responses=_RESPONSES)
async def session_stream(
    here: Here,
    visitor: Visiting,
    session_id: SessionId,
    cursor: Cursor,
    types: Types,
    agent: Agent,
) -> Response:
    """Follow a session: what is recorded after the cursor, and then what comes, over many runs."""
    if why := closed(here):
        return passing_refusal(here, why)
    try:
        session = await here.session(visitor.principal.tenant, session_id)
    except StoreUnavailable:
        return passing_refusal(here, Why.STORE)
    if session.status is SessionStatus.ERASED:
        raise SessionGone(session_id, session.status)
    return await _stream(
        here,
        visitor,
        session_id,
        SubscriptionRequest(session=session.session, cursor=cursor or 0, types=types, agent=agent),
    )


@router.get("/v1/runs/{run_id}/stream", response_class=Response, responses=_RESPONSES)
async def run_stream(
    here: Here, visitor: Visiting, run_id: RunId, cursor: Cursor, types: Types
) -> Response:
    """Follow a run and the runs below it to the terminal event; afterwards the answer is 204."""
    if why := closed(here):
        return passing_refusal(here, why)
    try:
        run = await here.run(visitor.principal.tenant, run_id)
        session = await here.session(visitor.principal.tenant, run.session_id)
    except StoreUnavailable:
        return passing_refusal(here, Why.STORE)
    if session.status is SessionStatus.ERASED:
        raise SessionGone(run.session_id, session.status)
    return await _stream(
        here,
        visitor,
        run.session_id,
        SubscriptionRequest(
            session=run.session,
            cursor=run.after if cursor is None else cursor,
            types=types,
            run_id=run_id,
            run_ended=run.status.ended,
        ),
    )


async def _stream(
    here: Gateway, visitor: Visitor, session_id: str, request: SubscriptionRequest
) -> Response:
    try:
        seat = here.seats.take(visitor, request.session)
        subscription = await here.hub.subscribe(request, on_close=seat.leave)
    except NoSeat as full:
        return passing_refusal(here, full.why)
    except StoreUnavailable:
        return passing_refusal(here, Why.STORE)
    except SessionUnknown:
        # The hub knows sessions by number only: say it in the caller's words.
        raise SessionUnknown(session_id) from None
    if subscription.already_ended:
        subscription.close()
        return Response(status_code=204)
    return HandedOver(EventStreamResponse(subscription, retry_ms=retry_ms(here)))
