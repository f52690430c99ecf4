"""Bounded concurrency that keeps each session's order."""

import asyncio

from holdfast.subscribe.delivery import Delivery, Handler


class Lanes:
    """Lets `limit` events be handled at once, of one session one at a time, in the order in which they came.

    Its callers call side by side and each waits for its own event, so what waits is bounded by them. An event that
    fails holds up none behind it: whoever wants that has a durable subscription.
    """

    def __init__(self, handler: Handler, *, limit: int) -> None:
        if limit < 1:
            raise ValueError("at least one event is handled at once")
        self._handler = handler
        self._slots = asyncio.Semaphore(limit)
        self._last: dict[int, asyncio.Future[None]] = {}

    async def __call__(self, event: Delivery) -> None:
        """Handle the event when its session's earlier ones are through and there is a free slot."""
        before = self._last.get(event.session)
        mine = self._last[event.session] = asyncio.get_running_loop().create_future()
        try:
            if before is not None:
                await asyncio.wait([before])
            async with self._slots:
                await self._handler(event)
        finally:
            if before is not None and not before.done():
                # We were cancelled while we waited: who waits for us must wait for that one, too.
                before.add_done_callback(lambda _: mine.done() or mine.set_result(None))
            else:
                mine.set_result(None)
            if self._last.get(event.session) is mine and mine.done():
                del self._last[event.session]


def at_once(handler: Handler, *, limit: int) -> Lanes:
    """Handle up to `limit` events at once, each session's in order."""
    return Lanes(handler, limit=limit)
