"""Ways to look at a state: the messages alone, and what an interruption must not change."""

from typing import Any

from holdfast.events.fold.state import TABLES, State
from holdfast.events.fold.wire import to_plain

# What another attempt changes even if nothing was lost: when, how long, which try.
_OF_THE_ATTEMPT = frozenset(
    {
        "attempt",
        "ts",
        "created_ts",
        "started_ts",
        "ended_ts",
        "duration_ms",
        "time_to_first_token_ms",
        "deadline",
    }
)


def messages(state: State) -> list[dict[str, Any]]:
    """Return every complete message once, in order of first appearance, for `GET /messages`."""
    return [
        {
            "id": entry["message_id"],
            "role": entry["role"],
            "content": entry["content"],
            "content_type": entry["content_type"],
            "agent": entry["agent"],
            "step": entry["step"],
            "run_id": entry["run_id"],
            "trace_id": entry["trace_id"],
            "ts": entry["ts"],
        }
        for entry in state.messages.all.values()
        if entry["complete"]
    ]


def without_attempts(state: State) -> dict[str, Any]:
    """Return what an interrupted and an uninterrupted run have in common: compare these with ==.

    Left out: seq, attempts, times and durations, the last checkpoint (frameworks make their ids
    from the time) and withdrawn entries, which nobody is shown.
    """
    plain = to_plain(state)
    for name in ("fold_version", "seq", "checkpoint", "forgotten"):
        del plain[name]
    plain["session"] = _stripped(plain["session"])
    for name in (*TABLES, "notifications"):
        plain[name] = [_stripped(entry) for entry in plain[name] if not entry.get("withdrawn")]
    return plain


def _stripped(entry: dict[str, Any]) -> dict[str, Any]:
    # Only an entry's own fields: what applications put into results and contents is theirs.
    return {key: value for key, value in entry.items() if key not in _OF_THE_ATTEMPT}
