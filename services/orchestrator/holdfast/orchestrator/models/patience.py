"""How long one answer is waited for, and how long to pause before asking again."""

import asyncio
import random
from collections.abc import Awaitable
from typing import TypeVar

from holdfast.events.clock import Clock, jittered
from holdfast.orchestrator.models.errors import AnswerTimeout, ModelError, TotalTimeout

# 0.5, 1, 2, 4, 8, 8 … seconds, each ±50 %: two retries cost 1.5 s on average, and a provider that
# comes back is not hit by everybody in the same instant.
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 8.0
BACKOFF_SPREAD = 0.5

# A provider that asks for a longer pause gets none of ours: the error carries its wish, and the
# pause belongs to the run, which can wait without holding a worker.
RETRY_AFTER_MAX_S = 30.0

T = TypeVar("T")


class Patience:
    """The time left for one answer. Only waiting uses it up, not the reader's own time."""

    def __init__(self, total_s: float, clock: Clock) -> None:
        self._total_s, self._left_s, self._clock = total_s, total_s, clock

    async def wait(self, answer: Awaitable[T], until: float, late: AnswerTimeout) -> T:
        """Return what `answer` gives before the monotonic time `until`, otherwise raise `late`.

        Raises TotalTimeout if the whole answer's time is used up before that. What is waited for is
        cancelled, and has let go of its connection, before either is raised.
        """
        begun = self._clock.monotonic()
        allowed = until - begun
        if self._left_s <= allowed:
            allowed, late = self._left_s, TotalTimeout(self._total_s)
        bound = asyncio.timeout(max(0.0, allowed))
        try:
            async with bound:
                return await answer
        except TimeoutError:
            if bound.expired():
                raise late from None
            raise
        finally:
            self._left_s -= self._clock.monotonic() - begun

    def allows(self, seconds: float) -> bool:
        """Tell whether a pause of this length leaves any time."""
        return seconds < self._left_s

    async def pause(self, seconds: float) -> bool:
        """Sleep and return True; return False at once when the answer's time is up before that."""
        if not self.allows(seconds):
            return False
        self._left_s -= seconds
        await self._clock.sleep(seconds)
        return True


def backoff_s(failure: ModelError, attempt: int, chance: random.Random) -> float | None:
    """Return how long to pause after the `attempt`-th failure (1 is the first); None: give up.

    The provider's Retry-After is a floor, never shortened by jitter.
    """
    grown = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** (attempt - 1))
    pause = jittered(grown, BACKOFF_SPREAD, chance)
    if failure.retry_after_s is None:
        return pause
    return None if failure.retry_after_s > RETRY_AFTER_MAX_S else max(pause, failure.retry_after_s)
