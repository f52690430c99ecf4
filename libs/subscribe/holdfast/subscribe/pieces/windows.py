"""So many within so long: the handler is told once the threshold is reached."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from holdfast.subscribe.delivery import Delivery, ManyHandler

# Things that are counted apart. The one not seen for longest is forgotten first.
KEYS_MAX = 10_000

# A window holds its events until it is full: 10,000 × 1 KB = 10 MB for the largest.
THRESHOLD_MAX = 10_000


def _everything(_: Delivery) -> Hashable:
    return None


def happened_at(event: Delivery) -> float:
    """Return the event's own time: catching up on a day's log then finds what it would have found that day."""
    return event.ts.timestamp()


class Window:
    """Hands over the last `threshold` events of a key as soon as they lie within `seconds`; then counts from 0.

    What is counted is in memory: after a restart a window fills anew.
    """

    def __init__(
        self,
        handler: ManyHandler,
        *,
        seconds: float,
        threshold: int,
        by: Callable[[Delivery], Hashable] = _everything,
        time_of: Callable[[Delivery], float] = happened_at,
    ) -> None:
        if seconds <= 0 or not 1 <= threshold <= THRESHOLD_MAX:
            raise ValueError(f"a window is longer than 0 s and counts up to {THRESHOLD_MAX}")
        self._handler, self._seconds, self._threshold = handler, seconds, threshold
        self._by, self._time_of = by, time_of
        self._seen: OrderedDict[Hashable, deque[tuple[float, Delivery]]] = OrderedDict()

    async def __call__(self, event: Delivery) -> None:
        """Count the event."""
        key, now = self._by(event), self._time_of(event)
        seen = self._seen.setdefault(key, deque())
        self._seen.move_to_end(key)
        if len(self._seen) > KEYS_MAX:
            self._seen.popitem(last=False)
        if not any(known.event_id == event.event_id for _, known in seen):
            # At least once must not count twice.
            seen.append((now, event))
        while seen and seen[0][0] <= now - self._seconds:
            seen.popleft()
        if len(seen) < self._threshold:
            return
        await self._handler(tuple(known for _, known in seen))
        # Not before: if the handler fails, the same event brings it the same window again.
        self._seen.pop(key, None)


def window(
    handler: ManyHandler,
    *,
    seconds: float,
    threshold: int,
    by: Callable[[Delivery], Hashable] = _everything,
    time_of: Callable[[Delivery], float] = happened_at,
) -> Window:
    """Be told when `threshold` events of one key lie within `seconds`."""
    return Window(handler, seconds=seconds, threshold=threshold, by=by, time_of=time_of)
