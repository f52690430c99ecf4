"""What a gateway answers, as values, and how what is asked is put into a request."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from holdfast.events.recorded import RecordedEvent

Json = dict[str, Any]
OnBusy = Literal["enqueue", "reject", "interrupt"]


@dataclass(frozen=True, slots=True)
class Ticket:
    """A run that was asked for: follow the session after `after` and nothing of it is missed."""

    run_id: str
    session_id: str
    after: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a session's events: all that are wanted up to `next_after`. At `head` that is all."""

    items: Sequence[RecordedEvent]
    next_after: int
    head: int


def segment(text: str) -> str:
    """Quote an id for a path. A dot segment would be resolved away, into another route."""
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} is no id")
    return quote(text, safe="")


def types_param(types: Iterable[str]) -> dict[str, str | int]:
    """Return the query parameter that asks for these types only, if any."""
    chosen = ",".join(types)
    return {"types": chosen} if chosen else {}


def present(**fields: Any) -> Json:
    """Leave out what wasn't given."""
    return {name: value for name, value in fields.items() if value is not None}
