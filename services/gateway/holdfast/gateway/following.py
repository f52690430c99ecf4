"""A stream on a wire: it has a task only while there is something to do that can't be done at once.

10,000 clients that wait are 10,000 objects, and not as many tasks with their frames. What comes live is written by
whoever brings it (see `chorus`); for everything else a task is begun, which ends when all is said for now.
"""

import asyncio

import structlog

from holdfast.gateway.ending import Ending
from holdfast.gateway.subscription import Subscription
from holdfast.gateway.wire import Wire

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Following:
    """Sends a subscription until it ends, and closes it whatever happens. Whoever makes it awaits `run` once."""

    __slots__ = ("_request_id", "_subscription", "_task", "_wire")

    def __init__(self, subscription: Subscription, wire: Wire, *, request_id: str) -> None:
        self._subscription, self._wire = subscription, wire
        self._request_id = request_id
        self._task: asyncio.Task[None] | None = None
        wire.carry(self)
        subscription.on_overdue(wire.abort)
        subscription.go_direct(wire)

    async def run(self) -> None:
        """Send until there is nothing to send for now, or for ever."""
        subscription, wire = self._subscription, self._wire
        try:
            while parts := await subscription.pending():
                await self._room()
                wire.send(parts)
            if parts is None:
                await self._end()
            else:
                wire.flush()
                subscription.sleep(self._go_on)
        except Exception:
            # The answer is under way: only breaking the connection tells the truth.
            log.exception("stream.failed", session=subscription.feed.session)
            self._break_off()
        except BaseException:
            self._break_off()
            raise

    def lost(self) -> None:
        """The connection is gone: there is nobody to tell anything."""
        self._subscription.end(Ending.CLIENT)

    def _go_on(self) -> None:
        if self._subscription.ending in (Ending.CLIENT, Ending.SLOW):
            self._break_off()
        else:
            self._task = asyncio.get_running_loop().create_task(self._run_again())

    async def _run_again(self) -> None:
        try:
            # Whoever woke this stream was at something else: what is logged from here on is of this request.
            with structlog.contextvars.bound_contextvars(request_id=self._request_id):
                await self.run()
        finally:
            self._task = None

    async def _end(self) -> None:
        ending = self._subscription.ending
        if ending in (Ending.CLIENT, Ending.SLOW):
            self._break_off()
        else:
            await self._room()
            self._wire.end(close=ending is Ending.DRAIN)
            self._close()

    async def _room(self) -> None:
        """Wait until the client takes more, as long as its subscription lets it."""
        if self._wire.paused:
            self._subscription.begin_write()
            try:
                await self._wire.room()
            finally:
                self._subscription.end_write()

    def _break_off(self) -> None:
        # Gone or not: a connection that is left open, and nobody behind it, would be silent for ever.
        self._wire.abort()
        self._close()

    def _close(self) -> None:
        with structlog.contextvars.bound_contextvars(request_id=self._request_id):
            self._subscription.close()
