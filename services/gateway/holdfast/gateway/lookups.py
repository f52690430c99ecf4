"""Questions to the store that many clients have at the same moment: each is asked once for all of them.

No answer is older than the call that gets it. So callers join a question until it is asked; from then on the next one
gathers. What a client is told to begin with (whose session it is, which runs belong to a run) can't be stale by this.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from holdfast.events.errors import StoreUnavailable
from holdfast.gateway.tasks import Flight, Spawn

# Questions under way, each with one of the pool's connections for about a millisecond: 4,000 a second, more than the
# loop has clients for. While these wait for each other, a caller of another kind finds a connection soon.
LOOKUPS_MAX = 4

Answer = TypeVar("Answer")


class Lookups:
    """Single flight, bounded. `waiting` questions are as many as there are different ones, whoever asks them."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._gathering: dict[Hashable, Flight[Any]] = {}
        self._asking = asyncio.Semaphore(LOOKUPS_MAX)

    @property
    def waiting(self) -> int:
        """How many questions are still to be asked."""
        return len(self._gathering)

    async def ask(self, key: Hashable, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer to `question`, asked after this call, once for all who ask by the same key.

        Raises what the question raises.
        """
        flight: Flight[Answer] | None = self._gathering.get(key)
        if flight is None:
            flight = self._gathering[key] = Flight()
            self._spawn(self._ask(key, flight, question))
        return await flight.wait()

    async def _ask(
        self, key: Hashable, flight: Flight[Answer], question: Callable[[], Awaitable[Answer]]
    ) -> None:
        try:
            try:
                await self._asking.acquire()
            finally:
                # From here on the answer may be too old for who comes.
                del self._gathering[key]
            try:
                if flight.wanted:  # everybody may have left while it waited
                    flight.land(await question())
            finally:
                self._asking.release()
        except Exception as error:  # noqa: BLE001  # whoever waits gets it, whatever it is
            flight.fail(error)
        except BaseException:
            flight.fail(StoreUnavailable("the gateway is stopping"))
            raise
