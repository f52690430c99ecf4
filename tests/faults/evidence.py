"""What must be true of every log, whatever happened to its writers."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from holdfast.events.catalog import TERMINAL_TYPES
from holdfast.events.fold import fold, messages, without_attempts
from holdfast.events.recorded import RecordedEvent
from tests.faults.rig import LogRow

# What nobody repeats who merely records that a step was done.
_SHOWN_IN_PIECES = frozenset({"step.started", "llm.started", "message.delta"})

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def check_log(log: Sequence[LogRow], run_id: str) -> None:
    """Dense, fenced, ended once: the promises that need nothing to compare with."""
    assert [row.seq for row in log] == list(range(1, len(log) + 1))
    assert [row.envelope["seq"] for row in log] == [row.seq for row in log]
    epochs = [row.epoch for row in log]
    assert epochs == sorted(epochs), "an event of an earlier owner came after one of a later owner"
    of_run = [row for row in log if row.run_id == run_id]
    terminal = [row.seq for row in of_run if row.type in TERMINAL_TYPES]
    assert terminal == [of_run[-1].seq], "one terminal event, and the run's last"
    _check_restarts(of_run)
    shown = [message["id"] for message in messages(_fold(log))]
    assert len(shown) == len(set(shown))


def _check_restarts(of_run: Sequence[LogRow]) -> None:
    """What an attempt shows again of a step comes after word that readers drop what an earlier one showed."""
    announced: set[tuple[str, int]] = set()
    first: dict[str, int] = {}
    for row in of_run:
        step, attempt = row.envelope.get("step", ""), row.envelope.get("attempt", 0)
        if row.type == "step.restarted":
            announced.add((step, attempt))
        elif row.type in _SHOWN_IN_PIECES and step:
            begun = first.setdefault(step, attempt)
            assert begun == attempt or (step, attempt) in announced, row.body


def shown(log: Sequence[LogRow], run_id: str) -> dict[str, Any]:
    """Return what the log adds up to, without what differs between any two runs: ids, times, attempts.

    Ids that contain a session's or run's id, and ids that a framework makes up, are named in order of appearance.
    """
    text = orjson.dumps(without_attempts(_fold(log))).decode()
    text = text.replace(log[0].envelope["session_id"], "SESSION").replace(run_id, "RUN")
    names: dict[str, str] = {}
    text = _UUID.sub(lambda found: names.setdefault(found[0], f"ID{len(names) + 1}"), text)
    return orjson.loads(text)


def check_ticks(log: Sequence[LogRow], ticks: int) -> None:
    """Each tick of a ticker is in the log exactly once, in order."""
    texts = [row.data["text"] for row in log if row.type == "message.delta"]
    assert texts == [f"tick {n}\n" for n in range(1, ticks + 1)]


def check_ledger(log: Sequence[LogRow], run_id: str, path: Path, steps: int) -> Counter[str]:
    """Check what a ledger's steps did outside against the log; return how often each was called."""
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    lines = [line for line in lines if line["key"].startswith(f"{run_id}:")]
    # Stable: every try at step n gave the outside the same key, and no other step gave it.
    keys = {line["number"]: line["key"] for line in lines}
    assert {line["key"] for line in lines} == {keys[n] for n in range(steps)}
    assert all(line["key"] == keys[line["number"]] for line in lines)
    assert len(set(keys.values())) == steps

    started: dict[tuple[str, int], datetime] = {}
    completed: dict[str, int] = {}
    for row in log:
        at, attempt = row.envelope.get("step"), row.envelope.get("attempt", 0)
        if row.type == "step.started":
            started.setdefault((f"{run_id}:{at}", attempt), row.recorded_at)
        elif row.type == "step.completed":
            assert f"{run_id}:{at}" not in completed, "a result is recorded once"
            completed[f"{run_id}:{at}"] = attempt
    for line in lines:
        key, attempt = line["key"], line["attempt"]
        # The log knew that it would be called before it was, and in which attempt.
        assert started[key, attempt].timestamp() <= line["at"]
        # What has a result is never called again.
        assert attempt <= completed[key]
    calls = Counter((line["key"], line["attempt"]) for line in lines)
    assert set(calls.values()) == {1}, "an attempt calls a step once"
    return Counter(line["key"] for line in lines)


def _fold(log: Sequence[LogRow]) -> Any:
    return fold(RecordedEvent(row.seq, row.type, row.run_id, row.body) for row in log)
