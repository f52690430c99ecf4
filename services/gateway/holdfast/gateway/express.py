"""Streams' requests that say nothing unusual, from their bytes to their subscription without a web server in between.

A gateway that restarts is met by thousands of clients whose requests differ by an id and a cursor. HTTP's parser and
server, ASGI's calls and the layers of the application cost more than all the rest of such a connect. So a request is
taken here if one expression says that it is plain, and the layers' own rules, called one by one, have nothing against
it. Anything else, be it one more space, goes the ordinary way from its first byte on: nothing is refused here.
"""

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from starlette.responses import Response
from starlette.types import Message

from holdfast.gateway import cors, edge, shortcut
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.hosts import is_foreign
from holdfast.gateway.limits import URL_BYTES_MAX
from holdfast.gateway.opening import Asked, follow_run, follow_session
from holdfast.gateway.principal import LOCAL
from holdfast.gateway.problems import ANSWERED
from holdfast.gateway.refusals import Why
from holdfast.gateway.response import STREAM_FIELDS
from holdfast.gateway.streaming import passing_refusal
from holdfast.gateway.subscription import Subscription
from holdfast.gateway.visitors import visitor_of

# No URL and no headers of a request that is this small are over a limit.
_BYTES_MAX = URL_BYTES_MAX

# A whole request and nothing behind it. Strict where parsers differ: one space, no escapes, no empty value, no tabs.
_PLAIN = re.compile(
    rb"GET /v1/(sessions|runs)/([A-Za-z0-9._~-]+)/stream(?:\?([A-Za-z0-9=&.,*_~:-]*))? HTTP/1\.1\r\n"
    rb"((?:[A-Za-z0-9-]+: [!-~](?:[ -~]*[!-~])?\r\n)+)\r\n"
)

# What changes how a request or its answer is transferred.
_HOP = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
    }
)
_STANDARD_HOP = (b"connection", b"keep-alive")

# Nobody's request id: it has a space.
_ID_HERE = b"the id"


class Plain(NamedTuple):
    """A request that is taken."""

    here: Gateway
    of_session: bool
    name: str
    asked: Asked
    headers: Sequence[tuple[bytes, bytes]]
    request_id: str


class Express:
    """Reads such requests and opens their streams; everything but the connection, which is `reception`'s."""

    def __init__(
        self,
        gateway: Callable[[], Gateway],
        *,
        seen: edge.Seen,
        origins: Collection[str],
        names: Collection[str] | None,
        is_ours: Callable[[], bool],
    ) -> None:
        """`is_ours` tells whether the layers that are passed by are the gateway's, and nobody else's."""
        self._gateway, self._seen, self._is_ours = gateway, seen, is_ours
        self._origins = frozenset(origins)
        self._names = None if names is None else frozenset(names)

    def read(self, data: bytes) -> Plain | None:
        """Return the request that `data` is; None if that takes a closer look."""
        if (
            len(data) > _BYTES_MAX
            or (match := _PLAIN.fullmatch(data)) is None
            or (here := self._gateway()).draining
            or not self._is_ours()
        ):
            return None
        kind, name, query, lines = match.groups()
        headers: list[tuple[bytes, bytes]] = []
        for line in lines[:-2].split(b"\r\n"):
            field, _, value = line.partition(b": ")
            field = field.lower()
            if field in _HOP and (field, value.lower()) != _STANDARD_HOP:
                return None
            headers.append((field, value))
        if self._names is not None and is_foreign(self._names, headers):
            return None
        of_session, text = kind == b"sessions", name.decode()
        try:
            asked = shortcut.read_asked(text, query or b"", headers, of_session=of_session)
        except ANSWERED:
            return None
        return Plain(here, of_session, text, asked, headers, edge.request_id_of(headers))

    def turned_away(self, plain: Plain) -> Response:
        """Return the answer to who was not let in."""
        here = plain.here
        return passing_refusal(here, Why.DRAINING if here.draining else Why.LATE)

    async def open(self, plain: Plain, client: tuple[str, int] | None) -> Subscription | Response:
        """Return the subscription, or why there is none. Raises what is in `ANSWERED`."""
        visitor = visitor_of({"client": client, "headers": plain.headers}, LOCAL, plain.here)
        follow = follow_session if plain.of_session else follow_run
        return await follow(plain.here, visitor, plain.name, plain.asked)

    def head(self, plain: Plain, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Return the head of the response, after which it has begun. `fields` are the server's own."""
        route = shortcut.SESSION if plain.of_session else shortcut.RUN
        self._seen("GET", route.path, 200, 0.0, True)
        allowed = None
        if self._origins:
            origin = next((value for name, value in plain.headers if name == b"origin"), None)
            if origin is not None and (text := origin.decode()) in self._origins:
                allowed = text
        before, after = _head(bool(self._origins), allowed, plain.here.draining)
        own = b"".join([b"%b: %b\r\n" % field for field in fields])
        return b"".join([b"HTTP/1.1 200 OK\r\n", own, before, plain.request_id.encode(), after])


@lru_cache(maxsize=64)  # one for each origin of the allow-list
def _head(has_origins: bool, allowed: str | None, draining: bool) -> tuple[bytes, bytes]:
    """Return what is before the request's id in a head, and what is after it: as the layers' own rules have it."""
    message: Message = {"headers": list(STREAM_FIELDS)}
    if has_origins:
        cors.mark(message, allowed)
    fields = edge.marked(message["headers"], _ID_HERE.decode(), path="/v1/", draining=draining)
    # HTTP's own, for a response whose length nobody knows.
    fields.append((b"transfer-encoding", b"chunked"))
    before, _, after = b"".join([b"%b: %b\r\n" % field for field in fields]).partition(_ID_HERE)
    return before, after + b"\r\n"


def express_of(app: Any) -> Express | None:
    """Return what was made for an application; None for one that isn't a gateway's."""
    return getattr(getattr(app, "state", None), "express", None)
