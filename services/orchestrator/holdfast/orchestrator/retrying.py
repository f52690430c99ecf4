"""How often, and how patiently, a step is tried again."""

import random
from dataclasses import dataclass

from holdfast.events.errors import HoldfastError

# 1 s, 2 s, 4 s, …: the usual patience with a service that is restarting.
BACKOFF_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class Retry:
    """A step is called up to `attempts` times in all, when it raises one of `on`.

    The pause after the first failure is `backoff_s`; it doubles each time up to `max_backoff_s`, give or take the
    fraction `jitter`. Failed calls are recorded and count over a crash; a pause doesn't survive one.
    """

    attempts: int = 3
    backoff_s: float = 1.0
    max_backoff_s: float = 60.0
    jitter: float = 0.1
    on: tuple[type[Exception], ...] = (Exception,)

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.backoff_s < 0 or self.max_backoff_s < 0:
            raise HoldfastError("Retry: attempts is at least 1, and no pause is negative")
        if not 0 <= self.jitter <= 1:
            raise HoldfastError("Retry: jitter is a fraction between 0 and 1")

    def again(self, error: Exception, failed: int) -> bool:
        """Tell whether to call again after `failed` calls that failed, the last one with `error`."""
        return failed < self.attempts and isinstance(error, self.on)

    def pause_s(self, failed: int, chance: random.Random) -> float:
        """Return how long to wait after so many failed calls."""
        whole = min(self.backoff_s * BACKOFF_FACTOR ** (failed - 1), self.max_backoff_s)
        return whole * (1 + self.jitter * (2 * chance.random() - 1))


ONCE = Retry(attempts=1)
