"""The truth of a history: each session's log, as it was read when everything had come to rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson

# Sixteen bytes: two different events have the same digest once in 2**64 events.
_DIGEST_BYTES = 16


def digest_of(body: bytes) -> bytes:
    """Return what stands for an event's bytes; equal digests are equal bytes."""
    return blake2b(body, digest_size=_DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """One event of the log: the place it was read from, and what its bytes say.

    `seq` is the place. `said_seq` and `session` are the bytes' own words. What only Postgres knows (epoch, key,
    event id) is None when the log was read through a gateway.
    """

    seq: int
    type: str
    digest: bytes
    session: str
    said_seq: int
    at: float | None = None  # seconds of the wall clock: when it was recorded, or encoded
    run_id: str | None = None
    parent_run_id: str | None = None
    attempt: int | None = None
    step: str | None = None
    command_id: str | None = None
    command_kind: str | None = None
    epoch: int | None = None
    key: str | None = None
    event_id: str | None = None

    @classmethod
    def of(
        cls,
        body: bytes,
        *,
        seq: int | None = None,
        at: float | None = None,
        epoch: int | None = None,
        key: str | None = None,
        event_id: str | None = None,
    ) -> "LogEvent":
        """Read an event's bytes. Without a seq, it stands where it says. Raises ValueError if they are no event."""
        envelope: Any = orjson.loads(body)
        try:
            said, type_ = int(envelope["seq"]), str(envelope["type"])
            session = str(envelope["session_id"])
            if at is None:
                at = datetime.fromisoformat(envelope["ts"]).timestamp()
            data: Any = envelope.get("data") or {}
            is_command = type_.startswith("command.")
            return cls(
                seq=said if seq is None else seq,
                type=type_,
                digest=digest_of(body),
                session=session,
                said_seq=said,
                at=at,
                run_id=envelope.get("run_id"),
                parent_run_id=envelope.get("parent_run_id"),
                attempt=envelope.get("attempt"),
                step=envelope.get("step"),
                command_id=data.get("command_id") if is_command else None,
                command_kind=data.get("kind") if is_command else None,
                epoch=epoch,
                key=key,
                event_id=event_id,
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not an event: {error!r}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLog:
    """A session's whole log, in the order in which the store gave it."""

    session: str
    events: Sequence[LogEvent]
    head: int
    min_seq: int = 1
    epoch: int | None = None  # of the session's row, from Postgres
