"""An event on its way into the log, and one that is in it. Only the second has a seq."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import orjson
from pydantic import JsonValue

from holdfast.events.catalog import TERMINAL_TYPES, Event, parse_event


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where in a session an event happened; what is empty is absent from the wire."""

    run_id: str | None = None
    attempt: int | None = None
    agent: str | None = None
    step: str | None = None
    lane: str | None = None
    parent_run_id: str | None = None
    task_id: str | None = None
    item_id: str | None = None
    user_id: str | None = None
    trace_id: str | None = None
    metadata: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])


NOWHERE = Context()
"""The context of a session's own events."""


@dataclass(frozen=True, slots=True)
class Emission:
    """An event to append: what happened, where, and its key.

    The key is unique within the run and the same on every replay; None for what replay may repeat.
    """

    event: Event
    context: Context = NOWHERE
    key: str | None = None


@dataclass(frozen=True, init=False)
class RecordedEvent:
    """One event of the log. `body` is the wire's JSON, byte for byte what every reader gets."""

    seq: int
    type: str
    run_id: str | None
    body: bytes
    # Known where it is appended, and to subscriptions; the wire doesn't carry it.
    event_id: UUID | None = field(default=None, compare=False, repr=False)

    def __init__(
        self, seq: int, type: str, run_id: str | None, body: bytes, event_id: UUID | None = None
    ) -> None:
        # What dataclass would write for a frozen one goes through object.__setattr__ and takes five times as long;
        # every event on its way to a reader is made here.
        fields = self.__dict__
        fields["seq"] = seq
        fields["type"] = type
        fields["run_id"] = run_id
        fields["body"] = body
        fields["event_id"] = event_id

    @cached_property
    def envelope(self) -> dict[str, Any]:
        """The whole wire object, parsed once."""
        return orjson.loads(self.body)

    @cached_property
    def event(self) -> Event:
        """The typed event."""
        return parse_event(self.type, self.envelope["data"])

    @property
    def ts(self) -> datetime:
        """The worker's clock when the event was encoded; informative, never an order."""
        return datetime.fromisoformat(self.envelope["ts"])

    @property
    def is_terminal(self) -> bool:
        """Whether this is its run's last event."""
        return self.type in TERMINAL_TYPES

    def __getattr__(self, name: str) -> Any:
        """Read an envelope field (agent, step, lane, attempt, …); None when it is absent."""
        if name in _ENVELOPE_FIELDS:
            return self.envelope.get(name)
        raise AttributeError(name)


_ENVELOPE_FIELDS = frozenset(
    {"session_id", "attempt", "agent", "step", "lane", "parent_run_id"}
    | {"task_id", "item_id", "user_id", "trace_id", "metadata"}
)
