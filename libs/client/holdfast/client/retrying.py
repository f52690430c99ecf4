"""When to connect again, and where: what the failures so far add up to."""

from holdfast.client.backoff import MOST_S
from holdfast.client.wire import Wire

# A connection that lasted as long as the longest wait was a good one: the next failure is a first
# one.
SETTLED_S = MOST_S


class Retrying:
    """The wait before the next try. `failures` counts those in a row."""

    def __init__(self, wire: Wire) -> None:
        self.failures = 0
        self.wait_s = 0.0
        self.reason: str | None = None
        self._wire = wire
        self._asked_s: float | None = None  # the server's `retry:`, until it names another

    def served(self, *, lasted_s: float, moved: bool, retry_ms: int | None) -> None:
        """Note a stream that is over: how long it lasted, whether it moved the cursor, its
        `retry:`.
        """
        if retry_ms is not None:
            self._asked_s = retry_ms / 1000
        if moved or lasted_s >= SETTLED_S:
            self.failures = 0

    def plan(
        self, gateway: str, reason: str, *, accident: bool, asked_s: float | None = None
    ) -> None:
        """Plan the next try after a failure at `gateway`, at another one if there is any.

        An `accident` is what the gateway didn't choose: a crash, a silence, a lost connection.
        """
        self.failures += 1
        self._wire.gateways.leave(gateway)
        self.reason = reason
        if asked_s is None and not (accident and self.failures < len(self._wire.gateways)):
            asked_s = self._asked_s
        # Else: `retry:` spreads the clients of a gateway that refuses or leaves, and gives one that
        # crashed time to come back. Others are there already: each is tried once before it counts.
        self.wait_s = self._wire.backoff.delay(self.failures, self._wire.chance, asked_s=asked_s)
