"""Cancels of one session: of a run at work, of a run below one, and of runs that nobody executes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from holdfast.events.clock import Clock
from holdfast.events.commands import Command, CommandState
from holdfast.events.errors import EventInvalid
from holdfast.events.recorded import Emission
from holdfast.events.store import Claims, CommandDone, Effect, Run
from holdfast.orchestrator.family import cancelled_outcome, descendants, root_of
from holdfast.orchestrator.forwarding import forward_cancel_of_waiting
from holdfast.orchestrator.running import Attempt, Cancellation
from holdfast.orchestrator.scribe import Scribe
from holdfast.orchestrator.session_log import Entry
from holdfast.orchestrator.verdicts import accepted, cancelled_family
from holdfast.orchestrator.workflow import Workflows

log = structlog.get_logger("holdfast.cancelling")

Append = Callable[[Sequence[Emission], Sequence[Effect]], Entry]


class Cancelling:
    """Settles the `cancel` commands of one session. Belongs to its docket."""

    def __init__(
        self,
        append: Append,
        reject: Callable[[Command, str], None],
        *,
        open_runs: Callable[[], Awaitable[Sequence[Run]]],
        claims: Claims,
        workflows: Workflows,
        clock: Clock,
    ) -> None:
        self._append, self._reject, self._open_runs = append, reject, open_runs
        self._claims, self._workflows, self._clock = claims, workflows, clock
        self.attempt: Attempt | None = None  # the one under way
        self._forwards: set[asyncio.Task[None]] = set()

    async def settle(self, command: Command) -> None:
        """Have the run end, or refuse it: the run has ended by itself."""
        reason = command.body.get("reason")
        effects = [CommandDone(command.command_id, CommandState.ACCEPTED)]
        attempt = self.attempt
        if attempt is not None and attempt.run.run_id == command.run_id:
            emission = Emission(accepted(command), attempt.scribe.context)
            if not attempt.cancel(Cancellation(reason, [emission], effects, command)):
                self._reject(command, "already-ended")
            return
        runs = await self._open_runs()
        run = next((r for r in runs if r.run_id == command.run_id), None)
        child = None if run is None else self._scribe_of(run, runs)
        if run is None:
            self._reject(command, "already-ended")
        elif child is None:
            self.end_idle(run, runs, command, reason)
        elif child.family.cancellation(child.run.run_id) is not None:
            self._reject(command, "already-ended")
        elif not child.family.cancel(
            child.run.run_id,
            Cancellation(reason, [Emission(accepted(command), child.context)], effects, command),
        ):
            self.end_idle(run, runs, command, reason, child=child)

    def end_idle(
        self,
        run: Run,
        runs: Sequence[Run],
        command: Command | None,
        reason: str | None,
        *,
        child: Scribe | None = None,
    ) -> None:
        """End a run that nobody is executing, and those that it started.

        `child` is its scribe, when its family is at work, but nobody on this run: whoever would go on with it, or
        waits for it, learns of its end at the moment of the append.
        """
        waits = None if child is None else child.family.root.waits
        now = self._clock.now()
        try:
            self._append(*cancelled_family(run, runs, command, reason, now=now, waits=waits))
        except EventInvalid as error:
            # Why somebody wanted it can't be written: what they wanted happens all the same.
            log.warning("cancel.reason_lost", run=run.run_id, error=str(error))
            reason = None
            self._append(*cancelled_family(run, runs, command, reason, now=now, waits=waits))
        if child is not None:
            child.forsaken(cancelled_outcome(reason))
        for one in [run, *descendants(run.run_id, runs)]:
            if one.started_at is None:
                continue  # it never got to anybody
            # Beside the commands: each may take seconds, and the next command is somebody's who waits.
            task = asyncio.create_task(
                forward_cancel_of_waiting(self._workflows, one, self._claims),
                name=f"forward:{one.run_id}",
            )
            self._forwards.add(task)
            task.add_done_callback(self._forwards.discard)

    async def forwarded(self) -> None:
        """Wait until everybody elsewhere was told of the ends, or was given up (FORWARD_TIMEOUT_S)."""
        if self._forwards:
            await asyncio.wait(set(self._forwards))

    def _scribe_of(self, run: Run, runs: Sequence[Run]) -> Scribe | None:
        """Return the scribe of a run that is part of the attempt under way."""
        attempt = self.attempt
        if attempt is None or root_of(run, runs).run_id != attempt.run.run_id:
            return None
        return attempt.scribe.family.find(run.run_id)
