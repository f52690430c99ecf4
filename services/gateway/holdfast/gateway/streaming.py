"""What every stream's response has in common."""

from collections.abc import Mapping

from starlette.responses import Response

from holdfast.gateway.gateway import Gateway
from holdfast.gateway.refusals import RETRY_MS, come_back


def full(here: Gateway) -> bool:
    """Tell whether another stream has to be turned away: over the limit, or on the way out."""
    return here.draining or here.streams >= here.settings.streams_max


def retry_ms(here: Gateway) -> int:
    """Return how long a client should wait before it connects again: never the same for all."""
    return here.chance.randint(*RETRY_MS)


def passing_refusal(here: Gateway, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer of a stream that can't be served right now."""
    return come_back(here.chance, headers)
