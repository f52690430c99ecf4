"""Writes one attempt of a run into the log. Every executor emits through a scribe, and through nothing else.

A keyed emission is recorded once, whatever happens: on replay its key is found in the journal and nothing is
appended. What has no key (the pieces of a streamed message) may be recorded again by a later attempt, which announces
that with `step.restarted`.
"""

import math
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn

from pydantic import JsonValue

from holdfast.events.catalog import Event
from holdfast.events.clock import Clock
from holdfast.events.codec import to_json
from holdfast.events.errors import EventInvalid
from holdfast.events.recorded import Context, Emission
from holdfast.events.store import Effect, Journal, Run, RunChange, RunStatus
from holdfast.orchestrator.coalesce import COALESCE_CHARS, COALESCE_MS, Coalescer, Delta
from holdfast.orchestrator.family import Family, outcome_key
from holdfast.orchestrator.inputs import answer_key
from holdfast.orchestrator.journaling import MISSING, Missing, Nondeterminism, Records
from holdfast.orchestrator.recorder import Recorder
from holdfast.orchestrator.redaction import redacted
from holdfast.orchestrator.session_log import Entry, Fenced, SessionLog
from holdfast.orchestrator.store_time import StoreTime
from holdfast.orchestrator.waits import Waiting

# A key is a path of names; the index that keeps it unique takes 2,700 bytes, and 512 characters may be 2,048.
KEY_CHARS_MAX = 512

Before = Callable[[Run, Sequence[Emission]], Sequence[Emission]]
"""What is made of events before they are appended. It may raise EventInvalid."""

Work = Callable[[], Awaitable[JsonValue]]
Around = Callable[["Scribe", Work], Awaitable[JsonValue]]
"""What an attempt's work is called through."""


class Scribe(Records):
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
        parent: "Scribe | None" = None,
        held: bool = False,
        time: StoreTime | None = None,
    ) -> None:
        """A `parent` is the scribe of the run that started this one; `held` when others of that run are at work."""
        super().__init__(run, journal)
        self.attempt = attempt
        self.parent, self.held = parent, held
        self.clock, self.chance = clock, chance
        self.time = time or StoreTime(clock)
        self.epoch, self.session = session.epoch, session.session
        self.context = Context(
            run_id=run.run_id,
            attempt=attempt,
            parent_run_id=run.parent_run_id,
            user_id=run.user_id,
            trace_id=run.trace_id,
        )
        self._log, self._recorder = session, recorder
        self._last: Entry | None = None
        self.over = False  # nothing more is recorded for this attempt, whatever still runs for it
        self.waiting: dict[str, Any] = dict(run.waiting)  # what the row says, or is about to say
        self._due_at = math.inf
        self.deadline = math.inf  # of the run, by the monotonic clock
        self._got_further = False
        self.waits = False  # whether the run's row says, or is about to say, that it waits
        self._coalescing = (coalesce_ms, coalesce_chars)
        self._coalescer = Coalescer(self._append_delta, window_ms=coalesce_ms, chars=coalesce_chars)
        self.family: Family = Family(self) if parent is None else parent.family
        # What the application's middlewares make of events and attempts; a child's are those of its root.
        self.before: Before = _as_they_are if parent is None else parent.before
        self.around: Around = _as_it_is if parent is None else parent.around

    @property
    def resumed(self) -> bool:
        """Whether an earlier attempt of this run may have recorded something."""
        return self.attempt > 1

    def where(self, **fields: Any) -> Context:
        """Return the run's context with `agent`, `step`, `lane`, … filled in."""
        return replace(self.context, **fields)

    def learn(self, key: str, value: Any, *, event: tuple[int, str] | None = None) -> None:
        """Take in a value that the owner records under `key`, at the very moment of its append.

        `event` is the seq and type of the event that carries the key, for what is looked for in the order of the log.
        """
        self._results[key] = to_json(value)
        if event is not None:
            self._keys[key] = event
        for input_id in [one for one in self.waiting if answer_key(one) == key]:
            del self.waiting[input_id]
        self.family.tell()

    def child(self, run: Run, journal: Journal, *, attempt: int, held: bool = False) -> "Scribe":
        """Return the scribe of a run that this one started: it writes into the same log, with its own keys."""
        made = Scribe(
            run,
            journal,
            self._log,
            self._recorder,
            attempt=attempt,
            clock=self.clock,
            chance=self.chance,
            coalesce_ms=self._coalescing[0],
            coalesce_chars=self._coalescing[1],
            parent=self,
            held=held,
            time=self.time,
        )
        self.family.join(made)
        return made

    def forsaken(self, outcome: Any) -> None:
        """A child was ended while nobody worked on it: its parent learns how."""
        assert self.parent is not None, "a root is ended by its attempt"
        self.close()
        for below in self.family.open_children(self.run.run_id):
            below.close()
            self.family.leave(below.run.run_id)
        self.family.leave(self.run.run_id)
        self.parent.learn(outcome_key(self.run.run_id), outcome)

    @property
    def head(self) -> int:
        """The session's last seq that is known to be on disk."""
        return self._log.committed_head

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
                    raise Nondeterminism(key, found[1], event.type, workflow=self.run.workflow)
                return False
            self._keys[key] = (0, event.type)
            if progress := self._progress():
                effects = [*effects, *progress]
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
        self,
        emissions: Sequence[Emission],
        waiting: dict[str, Any],
        *,
        due_in_s: float,
        held: bool = False,
        ready: Callable[[], bool] | None = None,
    ) -> NoReturn:
        """Record that the run waits, and give the worker back: always raises Waiting.

        `waiting` maps the ids of the inputs it waits for to their prompt, schema and deadline; `due_in_s` is when it
        is claimed in any case (math.inf: never by time alone). With `held` others of the run are still at work: the
        row tells what is asked, but the run goes on running, and is found if its worker dies meanwhile. `ready` tells
        whether what is waited for has come; by default it is an answer.
        """
        asked = list(waiting)
        # Branches that wait at the same time wait together: the row tells of all of them.
        self.waiting |= waiting
        due_at = min(self.clock.monotonic() + due_in_s, self.deadline)
        held = held or self.held
        if held:
            change = RunChange(
                run_id=self.run.run_id, status=RunStatus.RUNNING, waiting=dict(self.waiting)
            )
            changes: list[Effect] = [change] if waiting else []
        else:
            changes = list(self._waits(due_at))
        if emissions or changes:
            await self.emit_with(emissions, changes)
            await self.durable()
        raise Waiting(ready or (lambda: self._answered(asked)), due_at=due_at)

    def _waits(self, due_at: float) -> Sequence[Effect]:
        """Return what the rows of this run and of those above it say while it waits; only the first of all is due."""
        self.waits = True
        self._due_at = min(self._due_at, due_at, self.deadline)
        left = max(0.0, self._due_at - self.clock.monotonic())
        change = RunChange(
            run_id=self.run.run_id,
            status=RunStatus.WAITING,
            waiting=dict(self.waiting),
            due_in_s=left if self.parent is None else math.inf,
        )
        return [change] if self.parent is None else [change, *self.parent._waits(self._due_at)]

    def _answered(self, asked: Sequence[str]) -> bool:
        return any(answer_key(input_id) in self._results for input_id in asked)

    def flush(self) -> None:
        """Append what is being coalesced."""
        self._coalescer.flush()

    def finish(self, emissions: Sequence[Emission], effects: Sequence[Effect]) -> Entry:
        """Append the attempt's last words; whatever still runs for it can't append after them."""
        if not self.over:
            self._coalescer.flush()
        # An event that can't be written is the caller's to replace: only then is it over.
        entry = self._last = self._log.add(redacted(self.before(self.run, emissions)), effects)
        self.close()
        self._recorder.submit(self._log)
        return entry

    def close(self) -> None:
        """End the attempt: nothing more is appended, whoever tries is told that it is fenced."""
        self.over = True
        self._coalescer.close()
        if self.parent is None:
            for child in self.family.children.values():
                child.close()

    def now(self) -> datetime:
        """Return the database's time: deadlines are set and judged by it, whichever worker does."""
        return self.time.now()

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
        entry = self._last = self._log.add(redacted(self.before(self.run, emissions)), effects)
        self._recorder.submit(self._log)
        return entry


def _as_they_are(_: Run, emissions: Sequence[Emission]) -> Sequence[Emission]:
    return emissions


def _as_it_is(_: Scribe, work: Work) -> Awaitable[JsonValue]:
    return work()


__all__ = ["MISSING", "Missing", "Nondeterminism", "Scribe", "Waiting"]
