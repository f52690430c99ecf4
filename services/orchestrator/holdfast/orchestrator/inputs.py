"""What a run that waits for a person keeps in its row, and what an answer does to it."""

from collections.abc import Mapping
from typing import Any

from holdfast.events.codec import to_json
from holdfast.events.store import Effect, Run, RunChange, RunStatus, StepResult

NOTE_PREFIX = "note:"
"""What the keys of notes begin with: what people tell a run unasked."""


def note_key(command_id: str) -> str:
    """Return the key under which a note is recorded, event and value."""
    return f"{NOTE_PREFIX}{command_id}"


def answer_key(input_id: str) -> str:
    """Return the key under which the answer to an input is recorded, event and value."""
    return f"answer:{input_id}"


def expired_key(input_id: str) -> str:
    """Return the key under which it is recorded that nobody answered in time."""
    return f"expired:{input_id}"


def waiting_for(
    prompt: str, *, value_schema: dict[str, Any] | None, deadline: str | None, asked_ms: int
) -> dict[str, Any]:
    """Return what the run's row says of one open request: what the gateway checks an answer against."""
    return {
        "prompt": prompt,
        "value_schema": value_schema,
        "deadline": deadline,
        "asked_ms": asked_ms,
    }


def answer_effects(
    run: Run,
    input_id: str,
    value: Any,
    *,
    status: RunStatus,
    root: Run | None = None,
    waiting: Mapping[str, Any] | None = None,
) -> list[Effect]:
    """Return what the answer changes: its value is there for replay, and the run, which stays `status`, is due.

    `root` is the run that is due in place of a child; `waiting` is what the row says, where `run` may be behind it.
    """
    rest = {k: v for k, v in (run.waiting if waiting is None else waiting).items() if k != input_id}
    kept = StepResult(run.run_id, answer_key(input_id), to_json(value))
    if root is None or root.run_id == run.run_id:
        return [kept, RunChange(run_id=run.run_id, status=status, waiting=rest, due_in_s=0)]
    return [
        kept,
        RunChange(run_id=run.run_id, status=status, waiting=rest),
        RunChange(run_id=root.run_id, status=status, due_in_s=0),
    ]
