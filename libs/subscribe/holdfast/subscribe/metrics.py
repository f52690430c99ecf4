"""What a subscriber process counts, under the names that operators know."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class SubscriberMetrics:
    """Counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = ["subscription"]
        self._handled = Histogram(
            "holdfast_subscription_handle_seconds",
            "Time of one event's handler.",
            name,
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 30),
            registry=self.registry,
        )
        self._failed = Counter(
            "holdfast_subscription_failures",
            "Tries that failed.",
            ["subscription", "outcome"],
            registry=self.registry,
        )
        self._lag = Gauge(
            "holdfast_subscription_lag_seconds",
            "Age of what is being handled; 0 when there is nothing newer.",
            name,
            registry=self.registry,
        )
        self._parked = Gauge(
            "holdfast_subscription_waiting",
            "Events that wait for another try, or behind one.",
            name,
            registry=self.registry,
        )
        self._held = Gauge(
            "holdfast_subscription_held",
            "Whether this process is the holder.",
            name,
            registry=self.registry,
        )

    def handled(self, subscription: str, seconds: float) -> None:
        """An event was handled."""
        self._handled.labels(subscription).observe(seconds)

    def failed(self, subscription: str, *, dead: bool) -> None:
        """A try failed; `dead`: it was the last one."""
        self._failed.labels(subscription, "dead" if dead else "retried").inc()

    def behind(self, subscription: str, seconds: float, parked: int) -> None:
        """How old the newest event taken up is, and how many wait for another try."""
        self._lag.labels(subscription).set(seconds)
        self._parked.labels(subscription).set(parked)

    def held(self, subscription: str, held: bool) -> None:
        """Whether this process is the holder."""
        self._held.labels(subscription).set(held)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
