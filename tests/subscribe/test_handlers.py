"""The handlers in the box."""

from typing import Any
from uuid import uuid4

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest

from holdfast.events.catalog import AgentCompleted, ErrorInfo, Event, RunCompleted, RunFailed
from holdfast.events.recorded import Context, RecordedEvent
from holdfast.subscribe.delivery import Delivery
from holdfast.subscribe.handlers import Alert, Alerts, EventNumbers, LogEvents
from holdfast.subscribe.handlers.numbers import NAMES_MAX
from tests.factories import make_row

FAILED = RunFailed(error=ErrorInfo(code="x", message="the disk is full"), duration_ms=1200)


def delivery(event: Event, **context: Any) -> Delivery:
    row = make_row(event, Context(**context), seq=3)
    return Delivery(RecordedEvent(3, row.type, row.run_id, row.body), uuid4(), 1, "acme")


async def test_events_are_logged_by_their_names_without_what_they_say():
    with structlog.testing.capture_logs() as lines:
        handler = LogEvents()
        await handler.handle(delivery(AgentCompleted(name="a", duration_ms=5, result="secret")))
        await handler.handle(delivery(FAILED, run_id="r1"))

    assert lines == [
        {
            "event": "agent.completed",
            "log_level": "info",
            "tenant": "acme",
            "session": "s",
            "seq": 3,
            "name": "a",
            "duration_ms": 5,
        },
        {
            "event": "run.failed",
            "log_level": "warning",
            "tenant": "acme",
            "session": "s",
            "seq": 3,
            "run_id": "r1",
            "duration_ms": 1200,
        },
    ]


async def test_events_are_logged_whole_when_that_is_asked_for():
    with structlog.testing.capture_logs() as lines:
        await LogEvents(data=True).handle(delivery(AgentCompleted(name="a", duration_ms=5)))

    assert lines[0]["data"] == {"name": "a", "duration_ms": 5}


async def test_events_are_counted_and_their_durations_measured():
    registry = CollectorRegistry()
    numbers = EventNumbers(registry)

    for ms in (100, 300):
        await numbers.handle(delivery(AgentCompleted(name="a", duration_ms=ms)))

    text = generate_latest(registry).decode()
    assert 'holdfast_events_total{type="agent.completed"} 2.0' in text
    assert 'holdfast_event_duration_seconds_sum{name="a",type="agent.completed"} 0.4' in text


async def test_names_without_end_do_not_become_series_without_end():
    registry = CollectorRegistry()
    numbers = EventNumbers(registry)

    for n in range(NAMES_MAX + 50):
        await numbers.handle(delivery(AgentCompleted(name=f"a{n}", duration_ms=1)))

    text = generate_latest(registry).decode()
    assert text.count("holdfast_event_duration_seconds_count{") == NAMES_MAX + 1
    assert 'name="other"' in text


async def test_an_error_is_told_and_a_slow_run_too():
    told: list[Alert] = []
    alerts = Alerts(told.append, slow_ms=1000)

    await alerts.handle(delivery(FAILED, run_id="r1"))
    await alerts.handle(delivery(RunCompleted(duration_ms=999)))
    await alerts.handle(delivery(RunCompleted(duration_ms=1000)))
    await alerts.handle(delivery(AgentCompleted(name="a", duration_ms=5000)))

    assert [(alert.kind, alert.text) for alert in told] == [
        ("error", "run.failed in session s: the disk is full"),
        ("slow", "run.failed in session s took 1.2 s, over 1 s"),
        ("slow", "run.completed in session s took 1.0 s, over 1 s"),
    ]
    assert told[0].body()["run_id"] == "r1"


async def test_who_is_told_may_be_async_and_its_failure_is_the_handlers():
    async def tell(_: Alert) -> None:
        raise ConnectionError("nobody there")

    with pytest.raises(ConnectionError):
        await Alerts(tell).handle(delivery(FAILED))


def test_an_alert_about_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing to tell"):
        Alerts(print, errors=())
