"""Proof: a checker over what writers, clients and the log itself wrote down, and a load that gathers it from a
running deployment.

The checker (`check`) is pure and knows of the events only; `holdfast verify` runs it against real gateways.
"""

from holdfast.verify.checker import CHECKS, check, sentence
from holdfast.verify.history import (
    Append,
    Ask,
    Call,
    Client,
    CommandRow,
    Connection,
    Copy,
    Ending,
    Fault,
    Got,
    History,
    Measure,
    Outcome,
    RunRow,
    Seen,
    Want,
)
from holdfast.verify.invariants import Invariant
from holdfast.verify.log import LogEvent, SessionLog, digest_of
from holdfast.verify.numbers import Numbers, Spread, numbers
from holdfast.verify.violation import Line, Violation

__all__ = [
    "CHECKS",
    "Append",
    "Ask",
    "Call",
    "Client",
    "CommandRow",
    "Connection",
    "Copy",
    "Ending",
    "Fault",
    "Got",
    "History",
    "Invariant",
    "Line",
    "LogEvent",
    "Measure",
    "Numbers",
    "Outcome",
    "RunRow",
    "Seen",
    "SessionLog",
    "Spread",
    "Violation",
    "Want",
    "check",
    "digest_of",
    "numbers",
    "sentence",
]
