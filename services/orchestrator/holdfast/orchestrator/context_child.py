"""Runs that a run starts: in its session, under its lease, with a run id, a stream and an end of their own."""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, cast

import structlog
from pydantic import BaseModel, JsonValue

from holdfast.events.catalog import (
    ErrorInfo,
    Event,
    RunCompleted,
    RunFailed,
    RunResumed,
    RunStarted,
)
from holdfast.events.errors import EventInvalid, HoldfastError
from holdfast.events.recorded import Emission
from holdfast.events.store import Effect, Journal, Run, RunBegun, RunChange, RunStatus
from holdfast.orchestrator.context_core import Core, revive
from holdfast.orchestrator.deadlines import left_s, timed_out
from holdfast.orchestrator.family import cancelled_outcome, child_run_id, outcome_key
from holdfast.orchestrator.forwarding import forward_cancel
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.scribe import Missing, Scribe
from holdfast.orchestrator.session_log import Entry
from holdfast.orchestrator.waits import NOT_OURS, Waiting, cause_of

if TYPE_CHECKING:
    from holdfast.orchestrator.workflow import Workflow

log = structlog.get_logger("holdfast.run")


class ChildFailed(HoldfastError):
    """A run that this one started failed or was cancelled; `failure` tells how, `run_id` which."""

    def __init__(self, workflow: str, run_id: str, info: ErrorInfo) -> None:
        super().__init__(f"run {run_id} of workflow {workflow!r}: {info.message}")
        self.workflow, self.run_id, self.failure = workflow, run_id, info
        self.code, self.retryable = info.code, info.retryable


class Children(Core):
    """The delegating part of `ctx`."""

    async def run(self, workflow: "Workflow", input: Any = None, *, returns: Any = None) -> Any:
        """Run another workflow in this session, as a run of its own, and return its result.

        Its events carry its run id, with this run's as `parent_run_id`, and are part of this run's stream. It is
        cancelled with this run and taken over with it; by itself it can be cancelled, answered and looked at like any
        run. It has its terminal event before this call returns. Raises ChildFailed when it fails or is cancelled, here
        and on every replay.
        """
        key = self._key(f"run:{workflow.name}")
        run_id = child_run_id(self.run_id, key)
        kept = self._scribe.result(outcome_key(run_id))
        if isinstance(kept, Missing):
            given = input.model_dump(mode="json") if isinstance(input, BaseModel) else input
            await _Child(self._scribe, workflow, run_id, given, held=self._held).execute()
            kept = self._scribe.result(outcome_key(run_id))
        ended = cast("dict[str, Any]", kept)
        if "error" in ended:
            raise ChildFailed(workflow.name, run_id, ErrorInfo.model_validate(ended["error"]))
        return revive(ended.get("result"), returns)


class _Child:
    """One attempt at a child run, inside an attempt at its parent."""

    def __init__(
        self, parent: Scribe, workflow: "Workflow", run_id: str, given: Any, *, held: bool
    ) -> None:
        self._parent, self._workflow, self._family = parent, workflow, parent.family
        self._run_id, self._given, self._held = run_id, given, held
        self._clock = parent.clock

    async def execute(self) -> None:
        """Run to the end; then the outcome is in the parent's journal. Raises what ends the parent's attempt, too."""
        scribe = await self._begin()
        left = left_s(self._workflow, scribe.run, scribe.now())
        scribe.deadline = self._clock.monotonic() + left
        task = asyncio.ensure_future(
            cast("Coroutine[Any, Any, JsonValue]", self._work(scribe, left))
        )
        self._family.works(self._run_id, self._workflow, task)
        try:
            await asyncio.wait([task])
        finally:
            # Whoever cancels this wait ends or moves the parent: what becomes of the child is told there.
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
        await self._end(scribe, task)

    async def _work(self, scribe: Scribe, left: float) -> JsonValue:
        if left <= 0:
            raise timed_out(self._workflow, scribe.run)
        limit = asyncio.timeout(None if left == math.inf else left)
        try:
            async with limit:
                return await scribe.around(scribe, lambda: self._workflow.executor.execute(scribe))
        except TimeoutError as error:
            if limit.expired():
                raise timed_out(self._workflow, scribe.run) from error
            raise
        except SystemExit as error:
            raise RuntimeError(f"the workflow called sys.exit({error.code!r})") from error

    async def _begin(self) -> Scribe:
        known = self._family.children.get(self._run_id)
        if known is None:
            return await self._start()
        # An earlier attempt began it, or this one did and it waited: it goes on with all that is recorded.
        run, attempt = known.run, known.attempt + 1
        scribe = self._parent.child(run, known.journal(), attempt=attempt, held=self._held)
        scribe.waiting = known.waiting
        known.close()
        change = RunChange(
            run_id=run.run_id,
            status=RunStatus.RUNNING,
            attempts=attempt,
            workflow_v=self._workflow.version,
        )
        reason = "input" if known.waits or known.held else self._family.reason
        await scribe.emit(RunResumed.model_validate({"reason": reason}), effects=[change])
        await scribe.durable()
        return scribe

    async def _start(self) -> Scribe:
        parent, now = self._parent.run, self._parent.now()
        run = Run(
            run_id=self._run_id,
            session=parent.session,
            session_id=parent.session_id,
            tenant=parent.tenant,
            workflow=self._workflow.name,
            workflow_version=self._workflow.version,
            input=self._given,
            status=RunStatus.RUNNING,
            after=self._parent.head,
            attempts=1,
            strikes=0,
            parent_run_id=parent.run_id,
            user_id=parent.user_id,
            trace_id=parent.trace_id,
            created_at=now,
            started_at=now,
        )
        started = RunStarted(
            workflow=run.workflow, workflow_version=self._workflow.version, input=self._given
        )
        begun = RunBegun(
            run_id=run.run_id,
            parent_run_id=parent.run_id,
            workflow=run.workflow,
            workflow_v=self._workflow.version,
            input=self._given,
            after=run.after,
            user_id=run.user_id,
            trace_id=run.trace_id,
        )
        scribe = self._parent.child(run, Journal({}, {}), attempt=1, held=self._held)
        try:
            await scribe.emit(started, key="run.started", effects=[begun])
        except EventInvalid:
            self._family.leave(run.run_id)
            raise
        await scribe.durable()
        return scribe

    async def _end(self, scribe: Scribe, task: "asyncio.Task[JsonValue]") -> None:
        error = None if task.cancelled() else cause_of(task.exception())
        if scribe.over and self._family.find(self._run_id) is not scribe:
            return  # it was cancelled just when it ended by itself: the first of the two counts
        if isinstance(error, Waiting):
            raise self._awaited(error)
        if isinstance(error, NOT_OURS):
            raise error
        cancellation = self._family.cancellation(self._run_id)
        if task.cancelled() and cancellation is not None:
            await self._cancelled(scribe, cancellation.reason)
        elif not task.cancelled() and error is None:
            await self._completed(scribe, task.result())
        else:
            await self._failed(scribe, error or RuntimeError("the run was cancelled from inside"))

    def _awaited(self, waiting: Waiting) -> Waiting:
        """Return what the parent waits for: what the child does, or its end by somebody else's hand."""
        parent, key = self._parent, outcome_key(self._run_id)
        return Waiting(
            lambda: waiting.ready() or not isinstance(parent.result(key), Missing),
            due_at=waiting.due_at,
        )

    async def _completed(self, scribe: Scribe, result: JsonValue) -> None:
        plain = result.model_dump(mode="json") if isinstance(result, BaseModel) else result
        try:
            event = RunCompleted(result=plain, duration_ms=self._age_ms(scribe))
        except ValueError as error:
            await self._failed(scribe, EventInvalid(f"the run's result: {error}"))
        else:
            await self._record(scribe, event, {"result": plain})

    async def _failed(self, scribe: Scribe, error: BaseException) -> None:
        await self._record(scribe, *self._failure(scribe, error))

    def _failure(self, scribe: Scribe, error: BaseException) -> tuple[RunFailed, dict[str, Any]]:
        log.warning("run.failed", run=self._run_id, workflow=self._workflow.name, exc_info=error)
        info = error_info(error)
        event = RunFailed(error=info, duration_ms=self._age_ms(scribe))
        return event, {"error": info.model_dump(exclude_none=True)}

    async def _cancelled(self, scribe: Scribe, reason: str | None) -> None:
        """Somebody asked for the end of this child alone; its parent learns of it as of a failure."""
        emissions, effects, known = self._family.end(
            scribe, reason, now=self._clock.now(), own=True
        )
        kept = self._parent.remember(outcome_key(self._run_id), cancelled_outcome(reason))
        await scribe.finish(emissions, [*effects, kept]).durable()
        log.info("run.cancelled", run=self._run_id, workflow=self._workflow.name)
        for workflow, one in known:
            await forward_cancel(workflow, one.run.run_id, one.result)

    async def _record(self, scribe: Scribe, event: Event, kept: dict[str, Any]) -> None:
        # Runs that the child started and did not wait for end with it, however it ends: they are asked for once.
        emissions, effects, known = self._family.end(scribe, None, now=self._clock.now())
        try:
            entry = self._finish(scribe, event, kept, emissions, effects)
        except EventInvalid as error:
            # The result itself can't be written (too large, not UTF-8): that is the run's error then.
            event, kept = self._failure(scribe, EventInvalid(f"the run's result: {error}"))
            entry = self._finish(scribe, event, kept, emissions, effects)
        self._family.leave(self._run_id)
        await entry.durable()
        log.info(event.type, run=self._run_id, workflow=self._workflow.name)
        for workflow, one in known:
            await forward_cancel(workflow, one.run.run_id, one.result)

    def _finish(
        self,
        scribe: Scribe,
        event: Event,
        kept: dict[str, Any],
        below: Sequence[Emission],
        effects: Sequence[Effect],
    ) -> Entry:
        status = RunStatus.FAILED if isinstance(event, RunFailed) else RunStatus.COMPLETED
        change = RunChange(run_id=self._run_id, status=status, waiting={}, due_in_s=0)
        result = self._parent.remember(outcome_key(self._run_id), kept)
        own = Emission(event, scribe.context)
        return scribe.finish([*below, own], [*effects, change, result])

    def _age_ms(self, scribe: Scribe) -> int:
        since = scribe.run.started_at or scribe.run.created_at
        return max(0, int((self._clock.now() - since).total_seconds() * 1000))
