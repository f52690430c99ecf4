"""The most important event first, when there are more than can be handled at once."""

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from holdfast.subscribe.delivery import Delivery, Handler


class Prioritised:
    """Lets `limit` events be handled at once; of those that wait, the one of the highest `rank` is next.

    Among equals the first that came. It chooses among its callers, so it waits for no more events than they are.
    """

    def __init__(
        self, handler: Handler, rank: Callable[[Delivery], float], *, limit: int = 1
    ) -> None:
        if limit < 1:
            raise ValueError("at least one event is handled at once")
        self._handler, self._rank, self._free = handler, rank, limit
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    async def __call__(self, event: Delivery) -> None:
        """Handle the event when it is its turn."""
        await self._turn(event)
        try:
            await self._handler(event)
        finally:
            self._next()

    async def _turn(self, event: Delivery) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heappush(self._waiting, (-self._rank(event), self._count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was our turn already: somebody else has it now.
                self._next()
            else:
                self._waiting = [entry for entry in self._waiting if entry[2] is not turn]
                heapify(self._waiting)
            raise

    def _next(self) -> None:
        while self._waiting:
            _, _, turn = heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


def by_priority(
    handler: Handler, rank: Callable[[Delivery], float], *, limit: int = 1
) -> Prioritised:
    """Handle the events of the highest rank first."""
    return Prioritised(handler, rank, limit=limit)
