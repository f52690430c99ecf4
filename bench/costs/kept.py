"""The costs by name, with what each is of, and the file in which the last measured ones are kept."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

MEASURED = Path(__file__).with_name("measured.json")


@dataclass(frozen=True, slots=True)
class Costs:
    """What one thing takes: CPU in µs, memory and disk in bytes, of one machine (`python -m bench.costs`)."""

    gateway_take_us: Annotated[
        float, "an event taken in, once for each gateway that has readers of its session"
    ]
    gateway_write_us: Annotated[float, "an event to one reader"]
    gateway_connect_us: Annotated[
        float, "a connect to a session nobody watches, with its page, one of many at once"
    ]
    gateway_pulse_us: Annotated[float, "a watched session's share of a head check"]
    gateway_stream_bytes: Annotated[float, "an idle connection, without the kernel's buffers"]
    gateway_session_bytes: Annotated[float, "a watched session, without its connections"]
    gateway_statements: Annotated[float, "statements a second, of a gateway with nothing to do"]
    worker_commit_us: Annotated[float, "a commit, of its worker"]
    worker_event_us: Annotated[float, "an event in it, of a workflow that does nothing else"]
    worker_statements: Annotated[float, "statements a second, of a worker with nothing to do"]
    commit_ms: Annotated[float, "how long a commit takes; two of a worker are under way at once"]
    redis_trip_us: Annotated[float, "a worker's round trip, one for each commit"]
    redis_call_us: Annotated[float, "a session's part of it"]
    redis_event_us: Annotated[float, "an event in that"]
    redis_wake_us: Annotated[float, "on top for each gateway that hears of a session's part"]
    redis_event_bytes: Annotated[float, "an event in a window"]
    redis_channel_bytes: Annotated[float, "a gateway's subscription to a session"]
    postgres_commit_us: Annotated[float, "a commit, of Postgres"]
    postgres_event_us: Annotated[float, "an event in it"]
    postgres_pulse_us: Annotated[float, "a watched session's share of a head check"]
    postgres_wal_commit_bytes: Annotated[float, "WAL of a commit"]
    postgres_wal_bytes: Annotated[float, "WAL of an event in it"]
    postgres_event_bytes: Annotated[float, "an event on disk, indexes included"]

    @classmethod
    def measured(cls) -> "Costs":
        """Return the last ones that were measured and kept."""
        kept = read_kept()["costs"]
        return cls(**{field.name: kept[field.name] for field in fields(cls)})


def measured_on() -> str:
    """Say when and where they were measured."""
    about = read_kept()["machine"]
    where = f"{about['cores']} cores of {about['processor']}"
    return f"measured on {about['date']} at {about['commit']}: {where}, python {about['versions']['python']}"


def meanings(kind: type) -> dict[str, str]:
    """Return what each field of a class of annotated numbers is, by name."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name].__metadata__[0] for field in fields(kind)}


def read_kept() -> dict[str, Any]:
    """Return what is kept: `machine`, and `costs` by name."""
    return json.loads(MEASURED.read_text(encoding="utf-8"))
