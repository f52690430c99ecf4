"""Writes one attempt of a run into the log. Every executor emits through a scribe, and through nothing else.

A keyed emission is recorded once, whatever happens: on replay its key is found in the journal and nothing is
appended. What has no key (the pieces of a streamed message) may be recorded again by a later attempt, which announces
that with `step.restarted`.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn

import orjson
from pydantic import JsonValue

from holdfast.events.catalog import Event
from holdfast.events.clock import Clock
from holdfast.events.codec import to_json
from holdfast.events.errors import EventInvalid, EventTooLarge
from holdfast.events.recorded import Context, Emission
from holdfast.events.store import Effect, Journal, Run, RunChange, RunStatus, StepResult
from holdfast.orchestrator.coalesce import COALESCE_CHARS, COALESCE_MS, Coalescer, Delta
from holdfast.orchestrator.recorder import Recorder
from holdfast.orchestrator.session_log import Entry, Fenced, SessionLog

# A key is a path of names; the index that keeps it unique takes 2,700 bytes, and 512 characters may be 2,048.
KEY_CHARS_MAX = 512

# 4 MiB: what one commit of ours may weigh. Keep larger results elsewhere and record where.
RESULT_BYTES_MAX = 4 * 1024 * 1024


class Waiting(BaseException):
    """The run waits for something and gives its worker back; not an error, so `except Exception` lets it pass."""


class Missing:
    """What `Scribe.result` returns when nothing is recorded; None is a result like any other."""


MISSING = Missing()


class Scribe:
    """One attempt's pen. Bound to the owner's session log: after a takeover every call raises Fenced."""

    def __init__(
        self,
        run: Run,
        journal: Journal,
        session: SessionLog,
        recorder: Recorder,
        *,
        attempt: int,
        clock: Clock,
        chance: random.Random,
        coalesce_ms: int = COALESCE_MS,
        coalesce_chars: int = COALESCE_CHARS,
    ) -> None:
        self.run, self.attempt = run, attempt
        self.clock, self.chance = clock, chance
        self.epoch, self.session = session.epoch, session.session
        self.context = Context(
            run_id=run.run_id,
            attempt=attempt,
            parent_run_id=run.parent_run_id,
            user_id=run.user_id,
            trace_id=run.trace_id,
        )
        self._keys = dict(journal.keys)
        self._results = dict(journal.results)
        self._log, self._recorder = session, recorder
        self._last: Entry | None = None
        self.over = False  # nothing more is recorded for this attempt, whatever still runs for it
        self._waiting: dict[str, Any] = {}
        self._due_in_s = math.inf
        self._got_further = False
        self.waits = False  # whether the run's row says, or is about to say, that it waits
        self._coalescer = Coalescer(self._append_delta, window_ms=coalesce_ms, chars=coalesce_chars)

    @property
    def resumed(self) -> bool:
        """Whether an earlier attempt of this run may have recorded something."""
        return self.attempt > 1

    def where(self, **fields: Any) -> Context:
        """Return the run's context with `agent`, `step`, `lane`, … filled in."""
        return replace(self.context, **fields)

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

    def learn(self, key: str, value: Any) -> None:
        """Take in a value that the owner records under `key`, at the very moment of its append."""
        self._results[key] = to_json(value)

    async def emit(
        self,
        event: Event,
        at: Context | None = None,
        *,
        key: str | None = None,
        effects: Sequence[Effect] = (),
    ) -> bool:
        """Append `event`; return False if its key is recorded already, and then do nothing.

        Returns before the commit (see `durable`), but waits while too much is not committed. Raises EventInvalid for
        an event that can't be written and Nondeterminism when the key is recorded for another type.
        """
        if key is not None:
            if len(key) > KEY_CHARS_MAX:
                raise EventInvalid(
                    f"a key of {len(key)} characters is over {KEY_CHARS_MAX}: {key[:80]}…"
                )
            if (found := self._keys.get(key)) is not None:
                if found[1] != event.type:
                    raise Nondeterminism(key, found[1], event.type)
                return False
            self._keys[key] = (0, event.type)
            effects = [*effects, *self._progress()]
        self._coalescer.flush()
        try:
            self._append([Emission(event, at or self.context, key)], effects)
        except EventInvalid:
            if key is not None:
                del self._keys[key]
            raise
        await self._log.room()
        return True

    async def delta(self, delta: Delta, at: Context | None = None) -> None:
        """Append a piece of streamed text, joined with its neighbours. It has no key: replay may repeat it."""
        self._coalescer.add(delta, at or self.context)
        await self._log.room()

    async def keep(self, key: str, value: Any) -> None:
        """Record a value that replay must find under `key`, without an event."""
        await self.emit_with([], [self.remember(key, value)])

    def remember(self, key: str, value: Any) -> StepResult:
        """Return the effect that records `value` under `key`, for an event that carries it along."""
        body = to_json(value)
        if len(body) > RESULT_BYTES_MAX:
            raise EventTooLarge(f"result of {key}", len(body), RESULT_BYTES_MAX)
        self._results[key] = body
        return StepResult(self.run.run_id, key, body)

    async def emit_with(self, emissions: Sequence[Emission], effects: Sequence[Effect]) -> Entry:
        """Append several events and effects as one: all are recorded, or none. Keys are the caller's to check."""
        self._coalescer.flush()
        entry = self._append(emissions, effects)
        await self._log.room()
        return entry

    async def durable(self) -> None:
        """Wait until everything emitted so far is committed. Raises Fenced, or AppendRefused of the last emission."""
        self._coalescer.flush()
        if self._last is not None:
            await self._last.durable()

    async def wait(
        self, emissions: Sequence[Emission], waiting: dict[str, Any], *, due_in_s: float
    ) -> NoReturn:
        """Record that the run waits, and give the worker back: always raises Waiting.

        `waiting` maps the ids of the inputs it waits for to their prompt, schema and deadline; `due_in_s` is when it
        is claimed in any case (math.inf: never by time alone).
        """
        # Branches that wait at the same time wait together: the row tells of all of them.
        self.waits = True
        self._waiting |= waiting
        self._due_in_s = min(self._due_in_s, due_in_s)
        change = RunChange(
            run_id=self.run.run_id,
            status=RunStatus.WAITING,
            waiting=dict(self._waiting),
            due_in_s=self._due_in_s,
        )
        await self.emit_with(emissions, [change])
        await self.durable()
        raise Waiting

    def flush(self) -> None:
        """Append what is being coalesced."""
        self._coalescer.flush()

    def finish(self, emissions: Sequence[Emission], effects: Sequence[Effect]) -> Entry:
        """Append the attempt's last words; whatever still runs for it can't append after them."""
        if not self.over:
            self._coalescer.flush()
        # An event that can't be written is the caller's to replace: only then is it over.
        entry = self._last = self._log.add(emissions, effects)
        self.close()
        self._recorder.submit(self._log)
        return entry

    def close(self) -> None:
        """End the attempt: nothing more is appended, whoever tries is told that it is fenced."""
        self.over = True
        self._coalescer.close()

    def now(self) -> datetime:
        """Return the worker's wall time: for timestamps, never for decisions that replay must repeat."""
        return self.clock.now()

    def _append_delta(self, delta: Delta, context: Context) -> None:
        if not self._log.fenced and not self.over:
            self._append([Emission(delta, context)], ())

    def _progress(self) -> Sequence[Effect]:
        """Return what tells, once an attempt, that a run which was taken over has got further than before."""
        if not self.resumed or self._got_further:
            return ()
        self._got_further = True
        return (self.remember(f"attempt@{self.attempt}", True),)

    def _append(self, emissions: Sequence[Emission], effects: Sequence[Effect]) -> Entry:
        if self.over:
            raise Fenced(f"the attempt at run {self.run.run_id} is over")
        entry = self._last = self._log.add(emissions, effects)
        self._recorder.submit(self._log)
        return entry


class Nondeterminism(EventInvalid):
    """The workflow took another path than the one recorded: its code changed, or it isn't deterministic."""

    def __init__(self, key: str, recorded: str, now: str) -> None:
        super().__init__(
            f"at {key!r} the log has {recorded} but the workflow now emits {now}: a workflow must do the same"
            " things in the same order when it is replayed; put what varies into ctx.step"
        )
        self.key, self.recorded, self.now = key, recorded, now
