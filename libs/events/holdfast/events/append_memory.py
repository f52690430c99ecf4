"""The fenced append in memory: first everything is looked at, then everything is changed."""

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import TypeVar

import orjson

from holdfast.events.catalog import TERMINAL_TYPES
from holdfast.events.errors import AppendRefused
from holdfast.events.state_memory import EMPTY, MemoryState, RunRow, SessionRow, later
from holdfast.events.store import (
    CommandDone,
    Outcome,
    RunBegun,
    RunChange,
    RunStatus,
    SessionBatch,
    SessionChange,
    SessionStatus,
    StepResult,
)


class MemoryWriter:
    """The fenced append over a shared state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def append(self, batches: Sequence[SessionBatch]) -> frozenset[int]:
        """Record every batch directly after its `expected_head`; return the sessions that refused."""
        now = await self._state.turn()
        asked = frozenset(batch.session for batch in batches)
        assert len(asked) == len(batches), "a session has one batch in a call"
        standing = [batch for batch in batches if self._stands(batch)]
        self._check_rules(standing)
        for batch in standing:
            self._record(batch, now)
        self._state.commit(
            (batch.session, seq)
            for batch in standing
            for seq in range(batch.expected_head + 1, batch.expected_head + 1 + len(batch.events))
        )
        return asked - {batch.session for batch in standing}

    async def resolve(self, batches: Sequence[SessionBatch]) -> Mapping[int, Outcome]:
        """Tell what became of batches whose reply was lost."""
        await self._state.turn()
        return {batch.session: self._outcome(batch) for batch in batches}

    def _stands(self, batch: SessionBatch) -> bool:
        row = self._state.sessions.get(batch.session)
        return row is not None and (row.epoch, row.head) == (batch.epoch, batch.expected_head)

    def _outcome(self, batch: SessionBatch) -> Outcome:
        row = self._state.sessions.get(batch.session)
        if row is None:
            return Outcome.FENCED
        if batch.events:
            # The last one tells: an erasure deletes those before it.
            place = batch.expected_head + len(batch.events) - row.min_seq
            found = row.events[place] if 0 <= place < len(row.events) else None
            if found is not None and found.event_id == batch.events[-1].event_id:
                return Outcome.RECORDED
        return Outcome.ABSENT if self._stands(batch) else Outcome.FENCED

    def _check_rules(self, batches: Sequence[SessionBatch]) -> None:
        """Raise AppendRefused for a row that breaks a rule, or anything that isn't JSON, before a row changes."""
        state = self._state
        keys, terminals = set[tuple[str, str]](), set[str]()
        for batch in batches:
            for event in batch.events:
                for text in (event.type, event.run_id, event.key):
                    _check_text(text)
                if event.run_id is None:
                    continue
                if event.key is not None:
                    known = event.key in state.keys.get(event.run_id, ())
                    _take("one_key", (event.run_id, event.key), known, keys)
                if event.type in TERMINAL_TYPES:
                    _take("one_terminal", event.run_id, event.run_id in state.terminals, terminals)
            for effect in batch.effects:
                if isinstance(effect, RunChange):
                    orjson.dumps(effect.waiting)
                elif isinstance(effect, RunBegun):
                    orjson.dumps(effect.input)

    def _record(self, batch: SessionBatch, now: datetime) -> None:
        state, row = self._state, self._state.sessions[batch.session]
        for seq, event in enumerate(batch.events, row.head + 1):
            if event.run_id is not None and event.key is not None:
                state.keys.setdefault(event.run_id, {})[event.key] = (seq, event.type)
            if event.run_id is not None and event.type in TERMINAL_TYPES:
                state.terminals.add(event.run_id)
        row.events += batch.events
        row.published = max(row.published, batch.published)
        if batch.events:
            row.last_ts = batch.events[-1].ts
        if row.ttl_s is not None:
            row.expires_at = later(now, row.ttl_s)
        for effect in batch.effects:
            match effect:
                case RunBegun():
                    self._begin_run(row, effect, now)
                case RunChange():
                    self._change_run(row, effect, now)
                case CommandDone(command_id, command_state):
                    for command in row.commands:
                        if command.command_id == command_id:
                            command.state = command_state
                case StepResult():
                    self._keep_result(row, effect)
                case SessionChange(status):
                    row.status = status
                    if status is SessionStatus.ERASED:
                        row.erased_at = now
        # Last, as nothing of the session may be left by what stands beside it in the batch.
        if any(isinstance(effect, SessionChange) and effect.erase for effect in batch.effects):
            self._erase(row)

    def _run_of(self, row: SessionRow, run_id: str) -> RunRow | None:
        run = self._state.runs.get(run_id)
        return run if run is not None and run.session == row.id else None

    def _begin_run(self, row: SessionRow, begun: RunBegun, now: datetime) -> None:
        if begun.run_id in self._state.runs:
            return
        run = RunRow(
            run_id=begun.run_id,
            session=row.id,
            workflow=begun.workflow,
            workflow_v=begun.workflow_v,
            input=orjson.dumps(begun.input),
            after=begun.after,
            due_at=None,
            created_at=now,
            started_at=now,
            parent_run_id=begun.parent_run_id,
            status=RunStatus.RUNNING,
            attempts=1,
            user_id=begun.user_id,
            trace_id=begun.trace_id,
        )
        row.runs.append(run)
        self._state.runs[run.run_id] = run

    def _change_run(self, row: SessionRow, change: RunChange, now: datetime) -> None:
        run = self._run_of(row, change.run_id)
        if run is None or run.status.ended:
            return
        run.status = change.status
        if not run.status.idle:
            run.slot_epoch = 0  # once it runs, its status says that it holds a slot
        if change.status is RunStatus.RUNNING and run.started_at is None:
            run.started_at = now
        if change.status.ended:
            run.ended_at = now
        if change.waiting is not None:
            run.waiting = orjson.dumps(change.waiting)
        if change.due_in_s is not None:
            run.due_at = None if change.due_in_s == inf else later(now, change.due_in_s)
        if change.attempts is not None:
            run.attempts = change.attempts
        if change.workflow_v is not None:
            run.workflow_v = change.workflow_v

    def _keep_result(self, row: SessionRow, result: StepResult) -> None:
        results = self._state.results.setdefault(result.run_id, {})
        if result.key in results:
            return
        results[result.key] = result.body
        row.with_results.add(result.run_id)
        if run := self._run_of(row, result.run_id):
            run.strikes = 0

    def _erase(self, row: SessionRow) -> None:
        state = self._state
        # The erasing event is its batch's last: nothing follows an erasure.
        gone, row.events = row.events[:-1], row.events[-1:]
        row.min_seq += len(gone)
        for event in gone:
            if event.run_id is not None and event.key is not None:
                del state.keys[event.run_id][event.key]
            if event.run_id is not None and event.type in TERMINAL_TYPES:
                state.terminals.discard(event.run_id)
        for run_id in row.with_results:
            del state.results[run_id]
        row.with_results.clear()
        row.snapshots.clear()
        row.metadata = EMPTY
        for run in row.runs:
            run.input, run.waiting, run.user_id = None, EMPTY, None
        for command in row.commands:
            command.body = EMPTY
        for name, answer in list(state.answers.items()):
            if answer.response["session"] == row.id:
                del state.answers[name]


def _check_text(text: str | None) -> None:
    """Raise AppendRefused for what a text column can't hold: NUL, and half of a surrogate pair."""
    if text is None or (text.isascii() and "\0" not in text):
        return  # nearly all, in a tenth of the time
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
        raise AppendRefused(f"not storable as text: {text!r}")


_Taken = TypeVar("_Taken", bound=Hashable)


def _take(rule: str, what: _Taken, recorded: bool, new: set[_Taken]) -> None:
    """Note something that the log may hold once. Raises AppendRefused when it holds it, or is about to."""
    if recorded or what in new:
        raise AppendRefused(rule)
    new.add(what)
