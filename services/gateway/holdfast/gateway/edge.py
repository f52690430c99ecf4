"""The outermost layer: request ids, protective headers, and for every bug a 500 that gives nothing away
(on the paths of streams, a refusal in passing).

It is pure ASGI and adds no task, since every stream passes through it.
"""

import random
import re
import time
from collections.abc import Callable, Iterable

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.gateway.problems import problem_of
from holdfast.gateway.refusals import asks_for_stream, come_back

_REQUEST_ID = b"x-request-id"
_PROTECTIVE = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_OURS = frozenset({_REQUEST_ID, *(name for name, _ in _PROTECTIVE)})

# A caller's own id is kept when it can't be mistaken for anything else in a log.
_KEPT = re.compile(rb"[A-Za-z0-9._-]{1,64}")

Seen = Callable[[str, str, int, float, bool], None]
"""Told of every response: method, route, status, seconds, and whether it was a stream."""

log = structlog.get_logger("holdfast.gateway")


class Edge:
    """ASGI middleware around everything else."""

    def __init__(
        self, app: ASGIApp, *, seen: Seen, draining: Callable[[], bool] = lambda: False
    ) -> None:
        self._app, self._seen, self._draining = app, seen, draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        begun = time.monotonic()
        status = 0
        is_stream = False

        async def send_marked(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = marked(
                    message["headers"], request_id, path=scope["path"], draining=self._draining()
                )
                message["headers"] = headers
                is_stream = any(
                    name == b"content-type" and value.startswith(b"text/event-stream")
                    for name, value in headers
                )
            await send(message)

        # Not `bound_contextvars`, which looks through all there is, twice, for what was bound before: 8 µs.
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_marked)
        except ClientDisconnect:
            pass
        except Exception as error:
            if status:
                # The answer is under way: only breaking the connection tells the truth.
                raise
            log.exception("request.failed", method=scope["method"], route=_route(scope))
            response = come_back() if asks_for_stream(scope) else problem_of(error).response(scope)
            await response(scope, receive, send_marked)
        finally:
            structlog.contextvars.reset_contextvars(**bound)
            if status:
                seconds = time.monotonic() - begun
                self._seen(scope["method"], _route(scope), status, seconds, is_stream)


def marked(
    fields: Iterable[tuple[bytes, bytes]], request_id: str, *, path: str, draining: bool
) -> list[tuple[bytes, bytes]]:
    """Return the fields of a response's head with what every response says."""
    headers = [field for field in fields if field[0] not in _OURS]
    headers += ((_REQUEST_ID, request_id.encode()), *_PROTECTIVE)
    if draining:
        # The next request would come here again: a new connection may land on another replica.
        headers.append((b"connection", b"close"))
    if path.startswith("/v1/") and not any(name == b"cache-control" for name, _ in headers):
        headers.append((b"cache-control", b"no-store"))
    return headers


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id of a request: the caller's own, or a new one."""
    for name, value in headers:
        if name == _REQUEST_ID and _KEPT.fullmatch(value):
            return value.decode()
    # It needs to be different, not secret: no system call for each request.
    return f"{random.getrandbits(128):032x}"


def _route(scope: Scope) -> str:
    # The template, never the path: ids would make a metric of each session.
    return getattr(scope.get("route"), "path", "unmatched")
