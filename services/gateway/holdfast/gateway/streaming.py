"""What every stream's response has in common."""

from collections.abc import Mapping

from starlette.responses import Response

from holdfast.gateway.gateway import Gateway
from holdfast.gateway.refusals import RETRY_MS, Why, come_back


def closed(here: Gateway) -> Why | None:
    """Return why any further stream has to be turned away: over the limit, or on the way out; None if it hasn't."""
    if here.draining:
        return Why.DRAINING
    return Why.FULL if here.seats.full else None


def retry_ms(here: Gateway) -> int:
    """Return how long a client should wait before it connects again: never the same for all."""
    return here.chance.randint(*RETRY_MS)


def passing_refusal(here: Gateway, why: Why, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer of a stream that can't be served right now."""
    here.metrics.refused(why)
    return come_back(here.chance, headers, why=why)
