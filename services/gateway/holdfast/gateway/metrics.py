"""What the gateway counts, for Prometheus. No session, run or tenant is ever a label: their number has no bound."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from holdfast.gateway.ending import Ending
from holdfast.gateway.observer import Repair
from holdfast.gateway.refusals import Why

Value = TypeVar("Value", bound=StrEnum)

# From a cached look-up to the timeout of a statement in Postgres.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# A check is due after 2 to 3 s; readers were promised the news within 10 s, also without Redis.
_CHECK_SECONDS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0)


class _Tally(Collector):
    """Numbers that are plain ones, for the hottest paths: one event touches three, and a lock each is 1 µs."""

    def __init__(self) -> None:
        self.subscribed = 0
        self.events_sent = self.bytes_sent = 0
        self.tailed = self.pushed = self.refused = 0
        self.pages = {False: 0, True: 0}  # by whether they were shared

    def collect(self) -> Iterator[Metric]:
        """Yield what has been counted."""
        for name, help_, value in (
            ("sse_events_sent", "events handed to clients", self.events_sent),
            ("sse_sent_bytes", "bytes handed to clients", self.bytes_sent),
            ("tail_events", "events taken in, once for all subscribers", self.tailed),
            ("tail_pushed", "those of them that came with a wake-up", self.pushed),
            ("tail_pushes_refused", "wake-ups whose events could not be taken", self.refused),
        ):
            yield CounterMetricFamily(f"holdfast_{name}", help_, value)
        yield GaugeMetricFamily("holdfast_sse_connections", "open subscriptions", self.subscribed)
        pages = CounterMetricFamily(
            "holdfast_sse_pages", "catch-up pages, by where they came from", labels=["source"]
        )
        pages.add_metric(["store"], self.pages[False])
        pages.add_metric(["shared"], self.pages[True])
        yield pages


class Metrics:
    """The counters of one application, in a registry of its own, so that two may live in one process.

    It is the hub's `Observer`.
    """

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._disconnects = self._by_value(
            "sse_disconnects", "subscriptions that ended, by ending", "reason", Ending
        )
        self._refused = self._by_value(
            "sse_refused", "streams that were told to come back later, by reason", "reason", Why
        )
        self._tally = _Tally()
        self._registry.register(self._tally)
        self._repairs = self._by_value("tail_repairs", "fills from the store", "cause", Repair)
        self._behind = self._counter(
            "tail_behind", "sessions that a head check found behind the store"
        )
        self._check_seconds = Histogram(
            "holdfast_head_check_interval_seconds",
            "from one comparison of all heads with the store to the next",
            buckets=_CHECK_SECONDS,
            registry=self._registry,
        )
        self._untold = self._counter(
            "sse_untold", "readers that were not told of an event in time: more than 0 is a bug"
        )
        self._rewound = self._counter("log_rewound", "times the log's head went back")
        self._unavailable = self._counter("unavailable", "calls not answered, by what", "what")
        self._requests = self._counter(
            "http_requests", "responses by route and status", "method", "route", "status"
        )
        # Found once: they are as many as there are routes and statuses.
        self._requests_of: dict[tuple[str, str, int], Counter] = {}
        self._request_seconds = Histogram(
            "holdfast_http_request_duration_seconds",
            "from the request's headers to the end of the response; streams are left out",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self._registry,
        )

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that is read when it is asked for."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def exposition(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)

    def responded(
        self, method: str, route: str, status: int, seconds: float, is_stream: bool
    ) -> None:
        """A response was sent whole, or as the beginning of a stream."""
        counter = self._requests_of.get((method, route, status))
        if counter is None:
            counter = self._requests.labels(method, route, str(status))
            self._requests_of[method, route, status] = counter
        counter.inc()
        if not is_stream:
            self._request_seconds.labels(method, route).observe(seconds)

    def subscribed(self) -> None:
        """A subscription began."""
        self._tally.subscribed += 1

    def ended(self, ending: Ending) -> None:
        """A subscription ended."""
        self._tally.subscribed -= 1
        self._disconnects[ending].inc()

    def sent(self, events: int, size: int) -> None:
        """A chunk was handed to one client's connection."""
        self._tally.events_sent += events
        self._tally.bytes_sent += size

    def tailed(self, events: int) -> None:
        """A feed took in events."""
        self._tally.tailed += events

    def pushed(self, events: int) -> None:
        """A feed took in events that a wake-up carried."""
        self._tally.tailed += events
        self._tally.pushed += events

    def push_refused(self) -> None:
        """A feed could not take them."""
        self._tally.refused += 1

    def repaired(self, cause: Repair) -> None:
        """A feed had to be filled from the store."""
        self._repairs[cause].inc()

    def caught_behind(self, sessions: int) -> None:
        """A head check found feeds behind the store."""
        self._behind.inc(sessions)

    def checked(self, interval_s: float) -> None:
        """A head check compared every feed with the store."""
        self._check_seconds.observe(interval_s)

    def refused(self, why: Why) -> None:
        """A stream was told to come back later."""
        self._refused[why].inc()

    def page(self, *, shared: bool) -> None:
        """A catch-up page was read or shared."""
        self._tally.pages[shared] += 1

    def untold(self, readers: int) -> None:
        """Readers slept with something to read."""
        self._untold.inc(readers)

    def rewound(self) -> None:
        """The store's head went back."""
        self._rewound.inc()

    def unavailable(self, what: str) -> None:
        """The store or the stream did not answer."""
        self._unavailable.labels(what).inc()

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(f"holdfast_{name}", help_, labels, registry=self._registry)

    def _by_value(
        self, name: str, help_: str, label: str, values: type[Value]
    ) -> dict[Value, Counter]:
        counter = self._counter(name, help_, label)
        # Made at once: a series that first appears with its first event hides that event from `rate`.
        return {value: counter.labels(value.value) for value in values}
