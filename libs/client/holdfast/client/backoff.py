"""How long to wait before trying again: never less than what was asked for, never all clients at
once.
"""

import random
from dataclasses import dataclass

# The first wait: 200 ms is less than a person notices and more than a gateway's restart of one
# socket.
FIRST_S = 0.2

# The longest wait of our own choosing: after an outage every client is back within ten seconds.
MOST_S = 10.0

# A server may ask for more, but not for more than a minute: a typo there must not end a client.
ASKED_MOST_S = 60.0

# 2^16 × 0.2 s is hours beyond any bound; it only keeps the power of two a small number.
_DOUBLINGS_MAX = 16


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waits with jitter, from `first_s` to `most_s`."""

    first_s: float = FIRST_S
    most_s: float = MOST_S

    def delay(self, failures: int, chance: random.Random, *, asked_s: float | None = None) -> float:
        """Return the wait after `failures` (at least 1) in a row.

        It lies between the floor and the floor doubled per failure. The floor is what the server
        asked for, if anything: that can take the wait beyond `most_s`.
        """
        floor = self.first_s if asked_s is None else max(0.0, min(asked_s, ASKED_MOST_S))
        ceiling = min(self.most_s, max(floor, self.first_s) * 2 ** min(failures, _DOUBLINGS_MAX))
        return floor + chance.random() * max(0.0, ceiling - floor)
