"""One text out of several processes' metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from holdfast.processes.exposition import merged


def told_by(number: int) -> bytes:
    registry = CollectorRegistry()
    Counter("asked", "How often.", ["path"], registry=registry).labels('/{a}"b\\').inc(number)
    Gauge("open", "How many.", registry=registry).set(10 * number)
    Histogram("took_seconds", "How long.", buckets=(1.0,), registry=registry).observe(number)
    if number == 2:
        Gauge("only_here", "What one has.", registry=registry).set(1)
    return generate_latest(registry)


def test_every_sample_says_whose_it_is_and_a_family_stands_together():
    """A family that comes twice is refused by Prometheus, and then all of the scrape is."""
    families = list(text_string_to_metric_families(merged({1: told_by(1), 2: told_by(2)}).decode()))

    names = [family.name for family in families]
    samples = {(s.name, *sorted(s.labels.items())): s.value for f in families for s in f.samples}
    assert len(names) == len(set(names))
    assert samples["asked_total", ("path", '/{a}"b\\'), ("process", "1")] == 1
    assert samples["asked_total", ("path", '/{a}"b\\'), ("process", "2")] == 2
    assert samples["open", ("process", "2")] == 20
    assert samples["took_seconds_bucket", ("le", "1.0"), ("process", "2")] == 0
    assert samples["took_seconds_count", ("process", "1")] == 1
    assert samples["only_here", ("process", "2")] == 1


def test_of_nobody_it_is_empty():
    assert merged({}) == b""
