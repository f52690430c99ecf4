"""The HTTP side of a subscription, as plain ASGI: 10 KB a connection, one write for all that is pending.

No background task but one parked `receive()`, which notices the client leaving. Deadlines are kept by the hub's one
timer, so that a write costs no timer of its own.
"""

import asyncio
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from holdfast.gateway import sse
from holdfast.gateway.ending import Ending
from holdfast.gateway.following import Following
from holdfast.gateway.outlet import find_outlet
from holdfast.gateway.subscription import Subscription
from holdfast.gateway.transport import close_afterwards, find_abort
from holdfast.gateway.wire import lender_of

# no-transform and no buffering: proxies that compress or collect would hold events back.
STREAM_HEADERS = {
    "content-type": f"{sse.MEDIA_TYPE}; charset=utf-8",
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
}


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
    ]


STREAM_FIELDS = _raw(STREAM_HEADERS)


class ReaderStalled(Exception):
    """A client didn't take a write within its deadline and the server shows no way to abort its connection."""


class EventStreamResponse(Response):
    """Sends a subscription until it ends, and closes it whatever happens. The first words are `retry_ms`.

    Middleware around it must be plain ASGI: anything that passes bodies on by itself would queue them.
    """

    def __init__(
        self,
        subscription: Subscription,
        *,
        retry_ms: int,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        # Not Response.__init__: there is no body to render and no length to announce.
        self.status_code = 200
        self.background = None
        self.body = b""
        self.subscription = subscription
        self._retry_ms = retry_ms
        self.raw_headers = (
            list(STREAM_FIELDS) if not headers else _raw({**STREAM_HEADERS, **headers})
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream."""
        lender = lender_of(scope)
        if lender is None:
            await self._serve_by_messages(receive, send)
            return
        self.subscription.on_overdue(lender.abort)
        try:
            lender.hold()
            await self._send(send, self._head())
            wire = lender.lend()
        except BaseException:
            self.subscription.close()
            raise
        if wire is None:
            await self._serve_by_messages(receive, send, begun=True)
            return
        wire.send([sse.retry(self._retry_ms)])
        request_id = scope.get("state", {}).get("request_id", "")
        await Following(self.subscription, wire, request_id=request_id).run()

    def _head(self) -> Message:
        return {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }

    async def _serve_by_messages(
        self, receive: Receive, send: Send, *, begun: bool = False
    ) -> None:
        subscription = self.subscription
        listener = asyncio.create_task(self._listen(receive))
        stalled = self._watch_writes(send)
        try:
            if not begun:
                await self._send(send, self._head())
            direct = False
            chunk: bytes | None = sse.retry(self._retry_ms)
            while chunk is not None:
                await self._send(
                    send, {"type": "http.response.body", "body": chunk, "more_body": True}
                )
                if not direct:
                    direct = True
                    subscription.go_direct(find_outlet(send))
                chunk = await subscription.chunk()
            if subscription.ending is Ending.DRAIN:
                close_afterwards(send)
            if subscription.ending not in (Ending.SLOW, Ending.CLIENT):
                await self._send(
                    send, {"type": "http.response.body", "body": b"", "more_body": False}
                )
        except OSError:
            # What a server may raise on a write to a client that has left.
            subscription.end(Ending.CLIENT)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not stalled.is_set() or task is None:
                raise
            # Our own doing. A plain return would look like a complete response to some servers.
            task.uncancel()
            raise ReaderStalled("the client did not take a write in time") from None
        finally:
            listener.cancel()
            subscription.close()

    def _watch_writes(self, send: Send) -> asyncio.Event:
        """Arrange for a write that is not taken in time to be broken off; the event tells if by cancelling."""
        task = asyncio.current_task()
        cancelled = asyncio.Event()
        abort = find_abort(send)

        def break_off() -> None:
            if abort is not None:
                # The server then resumes the write that waits and reports the client as gone.
                abort()
            elif task is not None:
                cancelled.set()
                task.cancel()

        self.subscription.on_overdue(break_off)
        return cancelled

    async def _send(self, send: Send, message: Message) -> None:
        self.subscription.begin_write()
        try:
            await send(message)
        finally:
            self.subscription.end_write()

    async def _listen(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.subscription.end(Ending.CLIENT)
                return
