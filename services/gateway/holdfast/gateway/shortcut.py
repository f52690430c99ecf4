"""The streams' way past the web framework: the same rules in the same order, without what finds and feeds a route.

A stream's request is a path, at most three parameters and a header. The framework takes 0.5 ms to learn that, more than
everything else about a connect costs, and a gateway that restarts is met by thousands. So these requests are recognised
here; what they say is read by the same functions as the routes', and answered by the very same one. Who asks may be
told by a principal of somebody's own (see `principal`): where that is more than a coroutine of the request, the
framework is asked after all.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_type_hints

from fastapi import Request
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.gateway.gateway import Gateway
from holdfast.gateway.opening import Asked, open_run_stream, open_session_stream
from holdfast.gateway.params import (
    read_agent,
    read_cursor,
    read_run_id,
    read_session_id,
    read_types,
)
from holdfast.gateway.principal import Principal, principal
from holdfast.gateway.problems import ANSWERED, answer_to, problem_of
from holdfast.gateway.verdict import given, verdict_of
from holdfast.gateway.visitors import visitor_of

Who = Callable[[Request], Awaitable[Principal]]


@dataclass(frozen=True, slots=True)
class _Route:
    path: str  # as the framework's route has it: it is a label of metrics


SESSION = _Route("/v1/sessions/{session_id}/stream")
RUN = _Route("/v1/runs/{run_id}/stream")


class Shortcut:
    """ASGI middleware directly around the application; inside of all that judges requests before any route."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        gateway: Callable[[], Gateway],
        overrides: Mapping[Callable[..., Any], Callable[..., Any]],
    ) -> None:
        self._app, self._gateway, self._overrides = app, gateway, overrides
        self._known: tuple[Callable[..., Any], Who | None] = (principal, principal)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (
            scope["type"] != "http"
            or scope["method"] != "GET"
            # Cheaper than any expression: /v1/<kind>/<id>/stream
            or len(parts := scope["path"].split("/")) != 5
            or parts[4] != "stream"
            or not parts[3]
            or parts[0]
            or parts[1] != "v1"
            or parts[2] not in ("sessions", "runs")
            or (who := self._who()) is None
        ):
            await self._app(scope, receive, send)
            return
        try:
            response = await self._response(scope, receive, who, parts[2], parts[3])
        except ANSWERED as error:
            response = answer_to(scope, problem_of(error))
        await response(scope, receive, send)

    async def _response(
        self, scope: Scope, receive: Receive, who: Who, kind: str, name: str
    ) -> Response:
        here = self._gateway()
        of_session = kind == "sessions"
        scope["route"] = SESSION if of_session else RUN
        scope["path_params"] = {"session_id" if of_session else "run_id": name}
        if (verdict := verdict_of(scope)) is not None:
            return given(verdict)
        visitor = visitor_of(scope, await who(Request(scope, receive)), here)
        asked = read_asked(name, scope["query_string"], scope["headers"], of_session=of_session)
        if of_session:
            return await open_session_stream(here, visitor, name, asked)
        return await open_run_stream(here, visitor, name, asked)

    def _who(self) -> Who | None:
        """Return what tells the principal of a request; None where that needs the framework."""
        current = self._overrides.get(principal, principal)
        known, who = self._known
        if current is not known:
            who = current if is_plain(current) else None
            self._known = (current, who)
        return who


def read_asked(
    name: str, query_string: bytes, headers: Iterable[tuple[bytes, bytes]], *, of_session: bool
) -> Asked:
    """Return what a request for the stream of a session, or of a run, asks for. Raises what is in `ANSWERED`."""
    (read_session_id if of_session else read_run_id)(name)
    last_event_ids = tuple(value for key, value in headers if key == b"last-event-id")
    return _asked(query_string, last_event_ids, of_session)


@lru_cache(maxsize=256)  # in a wave most have the same cursor, and want the same
def _asked(query_string: bytes, last_event_ids: tuple[bytes, ...], of_session: bool) -> Asked:
    query = _Query(query_string)
    return Asked(
        read_cursor([value.decode("latin-1") for value in last_event_ids], query.all("after")),
        read_types(query.all("types")),
        read_agent(query.all("agent")) if of_session else None,
    )


class _Query:
    """The parameters of a request, as the framework reads them."""

    __slots__ = ("_found",)

    def __init__(self, query_string: bytes) -> None:
        query = query_string.decode("latin-1")
        if "%" in query or "+" in query:
            self._found = QueryParams(query).multi_items()
        else:
            # The same, where nothing is escaped: one `after` is a tenth of the time.
            parts = (part.partition("=") for part in query.split("&") if part)
            self._found = [(name, value) for name, _, value in parts]

    def all(self, name: str) -> Sequence[str]:
        return [value for key, value in self._found if key == name]


def is_plain(who: Callable[..., Any]) -> bool:
    """Tell whether `who` is a coroutine function of a request and nothing else."""
    if not inspect.iscoroutinefunction(who):
        return False
    parameters = list(inspect.signature(who).parameters)
    try:
        hints = get_type_hints(who)
    except (NameError, TypeError):  # names that are known elsewhere only
        return False
    return len(parameters) == 1 and hints.get(parameters[0]) is Request
