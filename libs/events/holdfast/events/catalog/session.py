"""The life of a session, and what was asked of it."""

from typing import Literal

from pydantic import AwareDatetime, JsonValue

from holdfast.events.catalog.base import Event


class SessionCreated(Event):
    """The session exists; always seq 1."""

    type: Literal["session.created"] = "session.created"
    metadata: dict[str, JsonValue] | None = None
    ttl_s: int | None = None


class SessionExpired(Event):
    """The session's time to live ran out; nothing follows but an erasure."""

    type: Literal["session.expired"] = "session.expired"
    ttl_s: int | None = None


class SessionErased(Event):
    """Everything before this event was deleted for good."""

    type: Literal["session.erased"] = "session.erased"
    erased_through: int
    reason: str | None = None


class CommandAccepted(Event):
    """The session's owner took the command on; its effect follows in the log."""

    type: Literal["command.accepted"] = "command.accepted"
    command_id: str
    kind: str
    start_at: AwareDatetime | None = None


class CommandRejected(Event):
    """The command was refused: what it asked for is no longer possible."""

    type: Literal["command.rejected"] = "command.rejected"
    command_id: str
    kind: str
    reason: str
