"""Events as Prometheus numbers: how many of each type, and how long things took."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from holdfast.subscribe.delivery import Delivery

# Label values that come from applications. Each costs a time series for ever; the rest is counted as "other".
NAMES_MAX = 200

# From one token to an hour of work.
_SECONDS = (0.05, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)


class EventNumbers:
    """Counts into a registry of yours: how many of each type, and durations by type and name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter("holdfast_events", "Events by type.", ["type"], registry=registry)
        self._duration = Histogram(
            "holdfast_event_duration_seconds",
            "What end events tell of their duration.",
            ["type", "name"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._types: set[str] = set()
        self._names: set[str] = set()

    async def handle(self, event: Delivery) -> None:
        """Count it."""
        type_ = _bounded(event.type, self._types)
        self._count.labels(type_).inc()
        duration_ms = event.data.get("duration_ms")
        if isinstance(duration_ms, int | float):
            name = _bounded(str(event.data.get("name", "")), self._names)
            self._duration.labels(type_, name).observe(duration_ms / 1000)


def _bounded(value: str, known: set[str]) -> str:
    if value not in known:
        if len(known) >= NAMES_MAX:
            return "other"
        known.add(value)
    return value
