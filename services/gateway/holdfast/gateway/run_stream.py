"""The answer to a POST that asks for a run and for its stream at once.

Not the hot path, and the client is one that speaks fetch: see `timed_stream`.
"""

from collections.abc import Mapping

import structlog
from starlette.responses import Response

from holdfast.events.errors import StoreUnavailable
from holdfast.events.store import Ticket
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.refusals import Why
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.seats import NoSeat, Visitor
from holdfast.gateway.streaming import closed, passing_refusal, retry_ms
from holdfast.gateway.timed_stream import TimedStream

log = structlog.get_logger("holdfast.gateway")


async def run_stream(
    here: Gateway, visitor: Visitor, ticket: Ticket, *, headers: Mapping[str, str]
) -> Response:
    """Return the stream of a run that was just asked for.

    The run goes on whatever becomes of this answer: when it can't be served, its headers still say where to follow.
    """
    if why := closed(here):
        return passing_refusal(here, why, headers)
    request = SubscriptionRequest(session=ticket.session, cursor=ticket.after, run_id=ticket.run_id)
    try:
        seat = here.seats.take(visitor, ticket.session)
        subscription = await here.hub.subscribe(request, on_close=seat.leave)
    except NoSeat as full:
        return passing_refusal(here, full.why, headers)
    except StoreUnavailable:
        return passing_refusal(here, Why.STORE, headers)
    except Exception:
        # An error here would hide from the client that its run was accepted, and where to follow it.
        log.exception("stream.failed", run_id=ticket.run_id)
        return passing_refusal(here, Why.FAILED, headers)
    return TimedStream(
        subscription,
        retry_ms=retry_ms(here),
        deadline_s=here.settings.send_deadline_s,
        headers=headers,
    )
