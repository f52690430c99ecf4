"""How a live stream begins, of a session or of a run.

Everything is judged before the first byte; then the hub feeds it.
"""

from typing import NamedTuple

from starlette.responses import Response

from holdfast.events.errors import SessionGone, SessionUnknown, StoreUnavailable
from holdfast.events.kinds import TypeFilter
from holdfast.events.store import SessionStatus
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.handover import HandedOver
from holdfast.gateway.refusals import Why
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.response import EventStreamResponse
from holdfast.gateway.seats import NoSeat, Visitor
from holdfast.gateway.selection import EVERYTHING
from holdfast.gateway.streaming import closed, passing_refusal, retry_ms
from holdfast.gateway.subscription import Subscription


class Asked(NamedTuple):
    """What a request says beside the session or the run: already read, not yet judged."""

    cursor: int | None = None
    types: TypeFilter = EVERYTHING
    agent: str | None = None


async def open_session_stream(
    here: Gateway, visitor: Visitor, session_id: str, asked: Asked
) -> Response:
    """Return the stream of a session, or why there is none. Raises SessionUnknown and SessionGone."""
    return _response(here, await follow_session(here, visitor, session_id, asked))


async def open_run_stream(here: Gateway, visitor: Visitor, run_id: str, asked: Asked) -> Response:
    """Return the stream of a run, or why there is none. Raises RunUnknown and SessionGone."""
    return _response(here, await follow_run(here, visitor, run_id, asked))


async def follow_session(
    here: Gateway, visitor: Visitor, session_id: str, asked: Asked
) -> Subscription | Response:
    """Return a subscription of a session, or why there is none. Raises SessionUnknown and SessionGone."""
    if why := closed(here):
        return passing_refusal(here, why)
    try:
        session = await here.locate(visitor.principal.tenant, session_id)
    except StoreUnavailable:
        return passing_refusal(here, Why.STORE)
    if session.status is SessionStatus.ERASED:
        raise SessionGone(session_id, session.status)
    return await _subscribed(
        here,
        visitor,
        session_id,
        SubscriptionRequest(
            session=session.session,
            cursor=asked.cursor or 0,
            types=asked.types,
            agent=asked.agent,
        ),
    )


async def follow_run(
    here: Gateway, visitor: Visitor, run_id: str, asked: Asked
) -> Subscription | Response:
    """Return a subscription of a run, or why there is none. Raises RunUnknown and SessionGone."""
    if why := closed(here):
        return passing_refusal(here, why)
    try:
        run = await here.run(visitor.principal.tenant, run_id)
        session = await here.locate(visitor.principal.tenant, run.session_id)
    except StoreUnavailable:
        return passing_refusal(here, Why.STORE)
    if session.status is SessionStatus.ERASED:
        raise SessionGone(run.session_id, session.status)
    return await _subscribed(
        here,
        visitor,
        run.session_id,
        SubscriptionRequest(
            session=run.session,
            cursor=run.after if asked.cursor is None else asked.cursor,
            types=asked.types,
            run_id=run_id,
            run_ended=run.status.ended,
        ),
    )


async def _subscribed(
    here: Gateway, visitor: Visitor, session_id: str, request: SubscriptionRequest
) -> Subscription | Response:
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
    return subscription


def _response(here: Gateway, opened: Subscription | Response) -> Response:
    if isinstance(opened, Response):
        return opened
    return HandedOver(EventStreamResponse(opened, retry_ms=retry_ms(here)))
