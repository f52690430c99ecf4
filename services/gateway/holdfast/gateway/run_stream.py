"""The answer to a POST that asks for a run and for its stream at once.

Not the hot path, and the client is one that speaks fetch: sse-starlette's comforts (it notices a client that left,
and bounds every write) are worth their 42 KB here.
"""

from collections.abc import AsyncIterator, Mapping

from sse_starlette.sse import EventSourceResponse
from starlette.responses import Response

from holdfast.events.errors import StoreUnavailable
from holdfast.events.store import Ticket
from holdfast.gateway import sse
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.response import STREAM_HEADERS
from holdfast.gateway.streaming import full, passing_refusal, retry_ms
from holdfast.gateway.subscription import Subscription


async def run_stream(here: Gateway, ticket: Ticket, *, headers: Mapping[str, str]) -> Response:
    """Return the stream of a run that was just asked for.

    The run goes on whatever becomes of this answer: when it can't be served, its headers still say where to follow.
    """
    if full(here):
        return passing_refusal(here, headers)
    request = SubscriptionRequest(session=ticket.session, cursor=ticket.after, run_id=ticket.run_id)
    try:
        subscription = await here.hub.subscribe(request)
    except StoreUnavailable:
        return passing_refusal(here, headers)
    return EventSourceResponse(
        _chunks(here, subscription),
        headers={**STREAM_HEADERS, **headers},
        sep="\n",
        ping=0,  # the subscription sends its own heartbeats
        send_timeout=here.settings.send_deadline_s,
    )


async def _chunks(here: Gateway, subscription: Subscription) -> AsyncIterator[bytes]:
    # sse-starlette bounds the writes; the subscription only has to know that it is being read.
    subscription.on_overdue(lambda: None)
    try:
        yield sse.retry(retry_ms(here))
        async for chunk in subscription:
            yield chunk
    finally:
        subscription.close()
