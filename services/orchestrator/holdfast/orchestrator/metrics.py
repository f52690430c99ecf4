"""What a worker counts, under the names that operators know."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from holdfast.events.store import Claim


class WorkerMetrics:
    """Counters of one worker process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._events = Counter(
            "holdfast_events_appended", "Events committed to the log.", registry=self.registry
        )
        self._append = Histogram(
            "holdfast_event_append_seconds",
            "Time of one group commit.",
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10),
            registry=self.registry,
        )
        self._refused = Counter(
            "holdfast_append_refused", "Sessions fenced at an append.", registry=self.registry
        )
        self._published = Counter(
            "holdfast_publish", "Publishes by outcome.", ["outcome"], registry=self.registry
        )
        self._claimed = Counter(
            "holdfast_sessions_claimed", "Sessions claimed.", ["reason"], registry=self.registry
        )
        self._listened = Counter(
            "holdfast_bus_events",
            "Events for listeners of the bus, by what became of them.",
            ["listener", "outcome"],
            registry=self.registry,
        )
        self._owned = Gauge(
            "holdfast_sessions_owned", "Sessions owned now.", registry=self.registry
        )

    def listened(self, listener: str, outcome: str) -> None:
        """A listener of the bus handled an event, failed, or had it dropped."""
        self._listened.labels(listener, outcome).inc()

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that is read when it is asked for."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def appended(self, events: int, seconds: float) -> None:
        """A commit went through."""
        self._events.inc(events)
        self._append.observe(seconds)

    def refused(self, sessions: int) -> None:
        """Sessions turned out to have another owner."""
        self._refused.inc(sessions)

    def published(self, outcome: str, sessions: int = 1) -> None:
        """Publishes of so many sessions went through with this outcome."""
        self._published.labels(outcome).inc(sessions)

    def publish_failed(self) -> None:
        """Redis was away or refused."""
        self._published.labels("failed").inc()

    def claimed(self, claim: Claim) -> None:
        """A session was claimed."""
        self._claimed.labels("takeover" if claim.taken_over else "work").inc()
        self._owned.inc()

    def released(self) -> None:
        """A session was given back, or lost."""
        self._owned.dec()

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
