"""Thousands come back at once (a gateway was killed, a deploy, a network): they are let in a few at a time.

The work of a connect is some 0.7 ms of the event loop and two questions to the store. Begun all at once they would
make everybody wait for everybody: the clients that are live, the head check, the probe. So they stand in line here,
before the web framework, where one costs its request and a future. Who waits too long is told when to come back; who
gives up is gone at once.
"""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.gateway.gateway import Gateway
from holdfast.gateway.refusals import Why, asks_for_stream
from holdfast.gateway.streaming import passing_refusal
from holdfast.gateway.turnstile import Turn
from holdfast.gateway.verdict import verdict_of
from holdfast.gateway.wire import lender_of


class Admission:
    """ASGI middleware around what serves streams' requests up to their first byte; inside of `Handover`."""

    def __init__(self, app: ASGIApp, *, gateway: Callable[[], Gateway]) -> None:
        self._app, self._gateway = app, gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (
            scope["type"] != "http"
            or not asks_for_stream(scope)
            or verdict_of(scope) is not None  # it stood in line already
        ):
            await self._app(scope, receive, send)
            return
        here = self._gateway()
        turn = here.admission.come()

        async def send_on(message: Message) -> None:
            # A replay is served inside of the framework for as long as it lasts: what waits for it to begin goes on.
            turn.leave()
            await send(message)

        try:
            if turn.admitted is None and await _gave_up(turn, scope, receive):
                return
            if not turn.admitted:
                why = Why.DRAINING if here.draining else Why.LATE
                await passing_refusal(here, why)(scope, receive, send)
                return
            await self._app(scope, receive, send_on)
        finally:
            turn.leave()


async def _gave_up(turn: Turn, scope: Scope, receive: Receive) -> bool:
    """Wait until the turn is called; return whether the client left before."""
    if (lender := lender_of(scope)) is not None:
        lender.on_lost(turn.leave)
        try:
            await turn.called
        finally:
            lender.on_lost(None)
        return lender.gone
    # Another server tells it to who listens, which takes a task.
    listener = asyncio.create_task(_hang_up(receive))
    listener.add_done_callback(lambda task: None if task.cancelled() else turn.leave())
    try:
        await turn.called
        return listener.done()
    finally:
        listener.cancel()


async def _hang_up(receive: Receive) -> None:
    # What comes before is the request's body: a stream's has none.
    while (await receive())["type"] != "http.disconnect":
        pass
