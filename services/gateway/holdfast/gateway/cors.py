"""Which pages of a browser may talk to the gateway: its own, and those of the allow-list.

Starlette's middleware answers refusals as plain text and lets other sites' pages send simple POSTs, whose effect
happens though the page can't read the answer. Here such a request is refused before it has one.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.gateway.problems import Problem

METHODS = "GET, POST, DELETE, OPTIONS"
ALLOWED_HEADERS = (
    "accept, authorization, content-type, idempotency-key, last-event-id, traceparent, x-request-id"
)
EXPOSED_HEADERS = "content-location, location, link, retry-after, x-request-id"

# Ten minutes: Chromium forgets after two hours at most, and a changed allow-list should take effect soon.
PREFLIGHT_MAX_AGE_S = 600

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Cors:
    """ASGI middleware that holds the allow-list. An empty one leaves the gateway's own pages."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        self._app, self._origins = app, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not self._origins and not any(name == b"origin" for name, _ in scope["headers"]):
            # No page asks, and none is to be told anything.
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        allowed = origin in self._origins
        is_preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if origin is not None and is_preflight:
            await _preflight(origin, scope, allowed=allowed)(scope, receive, send)
            return
        is_stranger = origin is not None and not allowed and not _is_own(origin, headers)
        if is_stranger and scope["method"] not in _SAFE:
            refusal = Problem(
                403, "origin-refused", "pages of this origin may not change anything here"
            )
            await refusal.response(scope)(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                mark(message, origin if allowed else None)
            await send(message)

        await self._app(scope, receive, send_marked if self._origins else send)


def mark(message: Message, allowed: str | None) -> None:
    """Add to a response's head what a gateway with an allow-list says; `allowed` is the origin that may read it."""
    answer = MutableHeaders(scope=message)
    answer.add_vary_header("origin")
    if allowed is not None:
        answer["access-control-allow-origin"] = allowed
        answer["access-control-expose-headers"] = EXPOSED_HEADERS


def _preflight(origin: str, scope: Scope, *, allowed: bool) -> Response:
    if not allowed:
        response = Problem(403, "origin-refused", "this origin is not on the allow-list").response(
            scope
        )
        response.headers["vary"] = "origin"
        return response
    return Response(
        status_code=204,
        headers={
            "access-control-allow-origin": origin,
            "access-control-allow-methods": METHODS,
            "access-control-allow-headers": ALLOWED_HEADERS,
            "access-control-max-age": str(PREFLIGHT_MAX_AGE_S),
            "vary": "origin",
        },
    )


def _is_own(origin: str, headers: Headers) -> bool:
    # Host and port only: behind a proxy that ends TLS the scheme seen here is not the browser's.
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:
        return False
