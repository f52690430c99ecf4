"""What every stream's response has in common."""

from collections.abc import Mapping

from sse_starlette.sse import AppStatus
from starlette.responses import Response

from holdfast.gateway import sse
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.response import STREAM_HEADERS

# A client that is turned away comes back after 1.5 to 4 s: 10,000 of them make 4,000 connects a second at worst.
RETRY_MS = (1500, 4000)

# sse-starlette would cut its streams on SIGTERM by itself, in the middle of a chunk. Ours end by the drain,
# with a word about when to come back.
AppStatus.disable_automatic_graceful_drain()


def full(here: Gateway) -> bool:
    """Tell whether another stream has to be turned away: over the limit, or on the way out."""
    return here.draining or here.hub.subscribers >= here.settings.streams_max


def retry_ms(here: Gateway) -> int:
    """Return how long a client should wait before it connects again: never the same for all."""
    return here.chance.randint(*RETRY_MS)


def passing_refusal(here: Gateway, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer of a stream that can't be served right now.

    A native EventSource gives up for ever on any other status than 200; so this is one, which says when to come
    back and ends.
    """
    return Response(
        sse.retry(retry_ms(here)),
        headers={**STREAM_HEADERS, **(headers or {})},
    )
