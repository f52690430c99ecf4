"""One attempt of one run: from `run.started` or `run.resumed` to the terminal event, or to giving it back."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from pydantic import JsonValue

from holdfast.events.catalog import (
    Event,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunResumed,
    RunStarted,
)
from holdfast.events.commands import Command
from holdfast.events.errors import EventInvalid, StoreUnavailable
from holdfast.events.recorded import Emission
from holdfast.events.store import Effect, Run, RunChange, RunStatus
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.scribe import Scribe, Waiting
from holdfast.orchestrator.session_log import Fenced
from holdfast.orchestrator.workflow import Workflow

# A workflow that was cancelled gets this long to clean up; then its attempt is over without it.
CANCEL_GRACE_S = 5.0

log = structlog.get_logger("holdfast.run")


@dataclass(slots=True, eq=False)
class Cancellation:
    """Somebody asked for the run's end; `effects` settle the commands that did, with the terminal event."""

    reason: str | None
    emissions: Sequence[Emission]
    effects: Sequence[Effect]
    command: Command | None = None


class Attempt:
    """Drives an executor and records how it ended: one terminal event, or none when the run goes on elsewhere."""

    def __init__(self, run: Run, workflow: Workflow, scribe: Scribe, *, reason: str) -> None:
        """`reason` tells why a run that had begun before goes on (see RunResumed)."""
        self.run, self.workflow, self.scribe = run, workflow, scribe
        self._reason = reason
        self._cancellation: Cancellation | None = None
        self._draining = False
        self._task: asyncio.Task[JsonValue] | None = None
        self._given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._began = time.monotonic()
        self.ended: RunStatus | None = None
        self.over = False  # set by the owner when `execute` has returned

    @property
    def unheeded(self) -> Command | None:
        """The cancel command that came too late: the run ended by itself, or it goes on elsewhere."""
        if self._cancellation is None or self.ended is RunStatus.CANCELLED:
            return None
        return self._cancellation.command

    def cancel(self, cancellation: Cancellation) -> bool:
        """End the run; return False if it has just ended by itself."""
        if self.ended is not None or self._cancellation is not None:
            return False
        self._cancellation = cancellation
        self._interrupt()
        return True

    def drain(self) -> None:
        """Stop without ending the run: another worker goes on with it."""
        self._draining = True
        self._interrupt()

    async def execute(self) -> None:
        """Run to the end of the attempt. Raises Fenced; every other outcome is in the log when this returns."""
        try:
            await self._begin()
            if self._cancellation is None and not self._draining:
                self._task = asyncio.create_task(self._run(), name=f"run:{self.run.run_id}")
                await asyncio.wait(
                    [self._task, self._given_up], return_when=asyncio.FIRST_COMPLETED
                )
                if not self._task.done():
                    log.error("run.abandoned", run=self.run.run_id, workflow=self.run.workflow)
                    # It may go on for as long as it likes: nothing that it says is recorded any more.
                    self.scribe.close()
            await self._end()
        except asyncio.CancelledError:
            if self._task is not None and not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task], timeout=CANCEL_GRACE_S)
            raise
        finally:
            self.scribe.close()

    async def _run(self) -> JsonValue:
        try:
            return await self.workflow.executor.execute(self.scribe)
        except SystemExit as error:
            # asyncio would end the whole worker with it.
            raise RuntimeError(f"the workflow called sys.exit({error.code!r})") from error

    async def _begin(self) -> None:
        scribe, run = self.scribe, self.run
        change = RunChange(
            run_id=run.run_id,
            status=RunStatus.RUNNING,
            attempts=scribe.attempt,
            workflow_v=self.workflow.version,
            due_in_s=0,
        )
        if run.status is RunStatus.QUEUED:
            event: Event = RunStarted(
                workflow=run.workflow, workflow_version=self.workflow.version, input=run.input
            )
            await scribe.emit(event, key="run.started", effects=[change])
        else:
            event = RunResumed.model_validate({"reason": self._reason})
            await scribe.emit(event, effects=[change])
        # On disk before any of the workflow's code runs: code that kills its process at once would otherwise leave
        # the run queued, where no takeover counts as a strike, and kill workers for ever.
        await scribe.durable()
        log.info(event.type, run=run.run_id, workflow=run.workflow, attempt=scribe.attempt)

    def _interrupt(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._task.get_loop().call_later(CANCEL_GRACE_S, self._give_up)

    def _give_up(self) -> None:
        if not self._given_up.done():
            self._given_up.set_result(None)

    async def _end(self) -> None:
        """Record the end. The first of completion and cancellation wins; there is no await between the two looks."""
        task = self._task if self._task is not None and self._task.done() else None
        error = None if task is None or task.cancelled() else _cause(task.exception())
        if isinstance(error, Fenced):
            raise error
        if isinstance(error, StoreUnavailable) and self._cancellation is None:
            # Not the run's fault: it goes on when Postgres does, here or elsewhere.
            raise error
        if isinstance(error, Waiting):
            if self._cancellation is not None:
                await self._record_cancelled(self._cancellation)
            return
        if task is not None and not task.cancelled() and error is None:
            await self._record(self._completed(task.result()), RunStatus.COMPLETED)
        elif self._cancellation is not None:
            await self._record_cancelled(self._cancellation)
        elif self._draining:
            self.scribe.flush()
            await self.scribe.durable()
        else:
            await self._record(self._failed(error), RunStatus.FAILED)

    def _completed(self, result: JsonValue) -> Event:
        try:
            return RunCompleted(result=result, duration_ms=self._duration_ms())
        except ValueError as error:
            return self._failed(EventInvalid(f"the workflow's result is not JSON: {error}"))

    def _failed(self, error: BaseException | None) -> Event:
        error = error or RuntimeError("the workflow was cancelled from inside")
        log.warning("run.failed", run=self.run.run_id, workflow=self.run.workflow, exc_info=error)
        return RunFailed(error=error_info(error), duration_ms=self._duration_ms())

    async def _record(self, event: Event, status: RunStatus) -> None:
        status = RunStatus.FAILED if isinstance(event, RunFailed) else status
        change = RunChange(run_id=self.run.run_id, status=status, waiting={}, due_in_s=0)
        self.ended = status
        try:
            entry = self.scribe.finish([Emission(event, self.scribe.context)], [change])
        except EventInvalid as error:
            # The result itself can't be written (too large, not UTF-8): that is the run's error then.
            event = RunFailed(error=error_info(error), duration_ms=self._duration_ms())
            change = RunChange(
                run_id=self.run.run_id, status=RunStatus.FAILED, waiting={}, due_in_s=0
            )
            self.ended = RunStatus.FAILED
            entry = self.scribe.finish([Emission(event, self.scribe.context)], [change])
        await entry.durable()
        log.info(event.type, run=self.run.run_id, duration_ms=self._duration_ms())

    async def _record_cancelled(self, cancellation: Cancellation) -> None:
        event = RunCancelled(reason=cancellation.reason, duration_ms=self._duration_ms())
        change = RunChange(
            run_id=self.run.run_id, status=RunStatus.CANCELLED, waiting={}, due_in_s=0
        )
        self.ended = RunStatus.CANCELLED
        entry = self.scribe.finish(
            [*cancellation.emissions, Emission(event, self.scribe.context)],
            [*cancellation.effects, change],
        )
        await entry.durable()
        log.info(event.type, run=self.run.run_id)

    def _duration_ms(self) -> int:
        """Return the run's age: from its first start, on this worker's clock, never negative."""
        if self.run.started_at is None:
            return int((time.monotonic() - self._began) * 1000)
        return max(0, int((datetime.now(UTC) - self.run.started_at).total_seconds() * 1000))


def _cause(error: BaseException | None) -> BaseException | None:
    """Return what a workflow's branches agree on: when all of them wait, the run waits."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [_cause(one) for one in error.exceptions]
    for kind in (Fenced, StoreUnavailable):
        if found := next((cause for cause in causes if isinstance(cause, kind)), None):
            return found
    return causes[0] if all(isinstance(cause, Waiting) for cause in causes) else error
