"""Handlers in the box: a structured log, traces, numbers, alerts, and signed webhooks."""

from holdfast.subscribe.handlers.alerts import Alert, Alerts
from holdfast.subscribe.handlers.logs import LogEvents
from holdfast.subscribe.handlers.numbers import EventNumbers
from holdfast.subscribe.handlers.traces import Traces

__all__ = ["Alert", "Alerts", "EventNumbers", "LogEvents", "Traces"]
