"""Hands a stream's response out of the web framework before it begins.

A stream lives for hours. Awaited inside of a route it would keep the framework's frames, exit stacks, request and
solved dependencies alive as long: 15 KB for each client. So the route leaves its response in the scope and returns,
and this middleware, directly around the application, sends it when all of that is gone.
"""

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_KEY = "holdfast.stream"


class HandedOver(Response):
    """What a route returns instead of the response that is to be sent when the route is done."""

    def __init__(self, response: ASGIApp) -> None:
        # Not Response.__init__: nothing of this one is ever sent.
        self.background = None
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave the response for the middleware."""
        scope[_KEY].append(self._response)


class Handover:
    """ASGI middleware, the innermost one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # A list, since routers may work on copies of the scope.
        left: list[ASGIApp] = []
        before = scope.keys() | {"route"}  # which the metrics want to know
        scope[_KEY] = left
        await self._app(scope, receive, send)
        if left:
            for key in scope.keys() - before:
                del scope[key]
            await left[0](scope, receive, send)
