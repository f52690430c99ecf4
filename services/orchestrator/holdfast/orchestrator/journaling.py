"""What is recorded of a run, as its attempt knows it; and what a replay finds there: nothing, or a contradiction."""

from typing import Any

import orjson
from pydantic import JsonValue

from holdfast.events.codec import to_json
from holdfast.events.errors import EventInvalid, EventTooLarge
from holdfast.events.store import Journal, Run, StepResult

# 4 MiB: what one commit of ours may weigh. Keep larger results elsewhere and record where.
RESULT_BYTES_MAX = 4 * 1024 * 1024


class Missing:
    """What `Scribe.result` returns when nothing is recorded; None is a result like any other."""


MISSING = Missing()


class Nondeterminism(EventInvalid):
    """The workflow took another path than the one recorded: its code changed, or it isn't deterministic."""

    def __init__(self, key: str, recorded: str, now: str, *, workflow: str | None = None) -> None:
        who = f"workflow {workflow!r}" if workflow else "the workflow"
        super().__init__(
            f"at {key!r} the log has {recorded} but {who} now emits {now}: a workflow must do the same"
            " things in the same order when it is replayed; put what varies into ctx.step, and give changed code"
            " a new name"
        )
        self.key, self.recorded, self.now = key, recorded, now


class Records:
    """The keys and results of one run: those of the log, and those on their way there."""

    def __init__(self, run: Run, journal: Journal) -> None:
        self.run = run
        self._keys = dict(journal.keys)
        self._results = dict(journal.results)

    def recorded(self, key: str) -> bool:
        """Tell whether an event of this key is in the log, or on its way there."""
        return key in self._keys

    def keys(self, prefix: str) -> list[str]:
        """Return the recorded keys that begin with `prefix`, in the order of the log."""
        found = [(seq, key) for key, (seq, _) in self._keys.items() if key.startswith(prefix)]
        return [key for _, key in sorted(found)]

    def result(self, key: str) -> JsonValue | Missing:
        """Return the value recorded under `key`, or MISSING."""
        body = self._results.get(key)
        return MISSING if body is None else orjson.loads(body)

    def journal(self) -> Journal:
        """Return what is recorded of the run, what is on its way included: for its next attempt."""
        return Journal(dict(self._keys), dict(self._results))

    def remember(self, key: str, value: Any) -> StepResult:
        """Return the effect that records `value` under `key`, for an event that carries it along."""
        body = to_json(value)
        if len(body) > RESULT_BYTES_MAX:
            raise EventTooLarge(f"result of {key}", len(body), RESULT_BYTES_MAX)
        self._results[key] = body
        return StepResult(self.run.run_id, key, body)
