"""One attempt of one run: from `run.started` or `run.resumed` to the terminal event, or to giving it back."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from holdfast.orchestrator.advice import failure_of
from holdfast.orchestrator.deadlines import left_s, timed_out
from holdfast.orchestrator.executors.abilities import Drains
from holdfast.orchestrator.forwarding import forward_cancel
from holdfast.orchestrator.middleware import Chain
from holdfast.orchestrator.scribe import Scribe, Waiting
from holdfast.orchestrator.session_log import Fenced
from holdfast.orchestrator.waits import cause_of
from holdfast.orchestrator.workflow import Workflow

# A workflow that was cancelled gets this long to clean up; then its attempt is over without it.
CANCEL_GRACE_S = 5.0

# A drain may wait this long for a step to be whole: with the grace above it fits into the 15 s that a worker has.
BOUNDARY_GRACE_S = 8.0

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

    def __init__(
        self,
        run: Run,
        workflow: Workflow,
        scribe: Scribe,
        *,
        reason: str,
        chain: Chain | None = None,
    ) -> None:
        """`reason` tells why a run that had begun before goes on (see RunResumed)."""
        self.run, self.workflow, self.scribe = run, workflow, scribe
        self._chain = chain or Chain()
        scribe.before, scribe.around = self._chain.before, self._chain.around
        self._reason = reason
        self._cancellation: Cancellation | None = None
        self._draining = False
        self._late = False
        self._timer: asyncio.Task[None] | None = None
        self._task: asyncio.Task[JsonValue] | None = None
        self._given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._clock = scribe.clock
        self._began = self._clock.monotonic()
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

    def drain(self, *, gently: bool = False) -> None:
        """Stop without ending the run: another worker goes on with it.

        `gently`: an executor that can stop at a boundary of its own is given BOUNDARY_GRACE_S to reach it.
        """
        self._draining = True
        if gently and self._at_a_boundary():
            asyncio.get_running_loop().call_later(BOUNDARY_GRACE_S, self._interrupt)
        else:
            self._interrupt()

    def _at_a_boundary(self) -> bool:
        """Ask the executor to stop by itself; return whether it can."""
        executor = self.workflow.executor
        return (
            self._task is not None and isinstance(executor, Drains) and executor.drain(self.scribe)
        )

    async def execute(self) -> None:
        """Run to the end of the attempt. Raises Fenced; every other outcome is in the log when this returns."""
        try:
            await self._begin()
            self._set_deadline()
            if self._cancellation is None and not self._draining and not self._late:
                self._task = asyncio.create_task(self._run(), name=f"run:{self.run.run_id}")
                # One that is left behind may fail later: nobody is there to be told, and asyncio need not complain.
                self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
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
            if self._timer is not None:
                self._timer.cancel()
            self.scribe.close()

    def _set_deadline(self) -> None:
        left = left_s(self.workflow, self.run, self.scribe.now())
        self.scribe.deadline = self._clock.monotonic() + left
        self._late = left <= 0
        if 0 < left < math.inf:
            self._timer = asyncio.create_task(self._time_out(left), name="run.deadline")

    async def _time_out(self, left: float) -> None:
        await self._clock.sleep(left)
        self._late = True
        self._interrupt()

    async def _run(self) -> JsonValue:
        try:
            return await self._chain.around(
                self.scribe, lambda: self.workflow.executor.execute(self.scribe)
            )
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
        error = None if task is None or task.cancelled() else cause_of(task.exception())
        if isinstance(error, Fenced):
            raise error
        if isinstance(error, StoreUnavailable) and self._cancellation is None:
            # Not the run's fault: it goes on when Postgres does, here or elsewhere.
            raise error
        if isinstance(error, Waiting):
            if self._cancellation is not None:
                await self._record_cancelled(self._cancellation)
            elif self._late:
                await self._record(
                    self._failed(timed_out(self.workflow, self.run)), RunStatus.FAILED
                )
            return
        if task is not None and not task.cancelled() and error is None:
            await self._record(self._completed(task.result()), RunStatus.COMPLETED)
        elif self._cancellation is not None:
            await self._record_cancelled(self._cancellation)
        elif self._late:
            await self._record(self._failed(timed_out(self.workflow, self.run)), RunStatus.FAILED)
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
        return RunFailed(
            error=failure_of(error, self.run.workflow), duration_ms=self._duration_ms()
        )

    async def _record(self, event: Event, status: RunStatus) -> None:
        status = RunStatus.FAILED if isinstance(event, RunFailed) else status
        change = RunChange(run_id=self.run.run_id, status=status, waiting={}, due_in_s=0)
        self.ended = status
        family = self.scribe.family
        emissions, effects, known = family.end(self.scribe, None, now=self._clock.now())
        try:
            entry = self.scribe.finish(
                [*emissions, Emission(event, self.scribe.context)], [*effects, change]
            )
        except EventInvalid as error:
            # The result itself can't be written (too large, not UTF-8): that is the run's error then.
            event = RunFailed(
                error=failure_of(error, self.run.workflow), duration_ms=self._duration_ms()
            )
            change = RunChange(
                run_id=self.run.run_id, status=RunStatus.FAILED, waiting={}, due_in_s=0
            )
            self.ended = RunStatus.FAILED
            entry = self.scribe.finish(
                [*emissions, Emission(event, self.scribe.context)], [*effects, change]
            )
        await entry.durable()
        log.info(event.type, run=self.run.run_id, duration_ms=self._duration_ms())
        await self._forward(known)

    async def _record_cancelled(self, cancellation: Cancellation) -> None:
        event = RunCancelled(reason=cancellation.reason, duration_ms=self._duration_ms())
        change = RunChange(
            run_id=self.run.run_id, status=RunStatus.CANCELLED, waiting={}, due_in_s=0
        )
        self.ended = RunStatus.CANCELLED
        emissions, effects, known = self.scribe.family.end(
            self.scribe, cancellation.reason, now=self._clock.now()
        )
        emissions = [
            *cancellation.emissions,
            *emissions,
            Emission(event, self.scribe.context),
        ]
        effects = [*cancellation.effects, *effects, change]
        try:
            entry = self.scribe.finish(emissions, effects)
        except EventInvalid as error:
            # Why somebody wanted it can't be written: what they wanted happens all the same.
            log.warning("cancel.reason_lost", run=self.run.run_id, error=str(error))
            entry = self.scribe.finish([_without_reason(one) for one in emissions], effects)
        await entry.durable()
        log.info(event.type, run=self.run.run_id)
        await self._forward([*known, (self.workflow, self.scribe)])

    async def _forward(self, ended: Sequence[tuple[Workflow, Scribe]]) -> None:
        """Tell everybody elsewhere that runs were cancelled, all at once: each may take seconds."""
        await asyncio.gather(*(forward_cancel(w, one.run.run_id, one.result) for w, one in ended))

    def _duration_ms(self) -> int:
        """Return the run's age: from its first start, on this worker's clock, never negative."""
        if self.run.started_at is None:
            return int((self._clock.monotonic() - self._began) * 1000)
        return max(0, int((self._clock.now() - self.run.started_at).total_seconds() * 1000))


def _without_reason(emission: Emission) -> Emission:
    event = emission.event
    if not isinstance(event, RunCancelled):
        return emission
    return replace(emission, event=event.model_copy(update={"reason": None}))
