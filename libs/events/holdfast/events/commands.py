"""What may be asked of a session. A command is a row; only the session's owner acts on it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class CommandKind(StrEnum):
    """The things that can be asked."""

    CREATE = "create"
    START = "start"
    CANCEL = "cancel"
    INPUT = "input"
    EXPIRE = "expire"
    ERASE = "erase"
    EMIT = "emit"


class CommandState(StrEnum):
    """Where a command stands: open until the owner has accepted or rejected it in the log."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class OnBusy(StrEnum):
    """What becomes of a new run while another of its session is not finished."""

    ENQUEUE = "enqueue"  # it begins when the other has ended
    REJECT = "reject"  # it is refused with SessionBusy
    INTERRUPT = "interrupt"  # the other is cancelled first


@dataclass(frozen=True, slots=True)
class Command:
    """One open command, in the order in which it was asked."""

    command_id: str
    session: int
    run_id: str | None
    kind: CommandKind
    body: dict[str, Any]
    created_at: datetime
