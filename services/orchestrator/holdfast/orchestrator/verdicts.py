"""What is recorded about a command, and about a run that nobody executes."""

from collections.abc import Sequence
from datetime import datetime

from holdfast.events.catalog import CommandAccepted, Event, RunCancelled, UnknownEvent
from holdfast.events.catalog.custom import custom_model
from holdfast.events.codec import to_json
from holdfast.events.commands import Command, CommandState
from holdfast.events.recorded import Context, Emission
from holdfast.events.store import CommandDone, Effect, Run, RunChange, RunStatus, StepResult
from holdfast.orchestrator.family import (
    cancelled_outcome,
    descendants,
    endings,
    outcome_key,
    root_of,
)


def context_of(run: Run) -> Context:
    """Return where events about a run happen that nobody executes."""
    return Context(
        run_id=run.run_id,
        attempt=run.attempts or None,
        parent_run_id=run.parent_run_id,
        user_id=run.user_id,
        trace_id=run.trace_id,
    )


def accepted(command: Command) -> Event:
    """Return what tells that a command was accepted which has no event of its own."""
    return CommandAccepted.model_validate(
        {
            "command_id": command.command_id,
            "kind": command.kind,
            "start_at": command.body.get("start_at"),
        }
    )


def cancelled(
    run: Run, command: Command | None, reason: str | None, age_ms: int
) -> tuple[list[Emission], list[Effect]]:
    """Return what ends a run that nobody is executing."""
    context = context_of(run)
    emissions = [Emission(RunCancelled(reason=reason, duration_ms=age_ms), context)]
    effects: list[Effect] = [
        RunChange(run_id=run.run_id, status=RunStatus.CANCELLED, waiting={}, due_in_s=0)
    ]
    if command is not None:
        emissions.insert(0, Emission(accepted(command), context))
        effects.append(CommandDone(command.command_id, CommandState.ACCEPTED))
    return emissions, effects


def cancelled_family(
    run: Run,
    runs: Sequence[Run],
    command: Command | None,
    reason: str | None,
    *,
    now: datetime,
    waits: bool | None = None,
) -> tuple[list[Emission], list[Effect]]:
    """Return what ends a run that nobody is executing, with the runs that it started.

    `runs` are the open ones of its session. A child's parent is told, and the root of them all is due if it `waits`;
    its row knows, unless an attempt is at work.
    """
    below = [(child, context_of(child)) for child in descendants(run.run_id, runs)]
    emissions, effects = endings(below, reason, now=now)
    age_ms = max(0, int((now - run.created_at).total_seconds() * 1000))
    own, changes = cancelled(run, command, reason, age_ms)
    effects += changes
    if run.parent_run_id is not None:
        kept = to_json(cancelled_outcome(reason))
        effects.append(StepResult(run.parent_run_id, outcome_key(run.run_id), kept))
        root = root_of(run, runs)
        if root.status is RunStatus.WAITING if waits is None else waits:
            effects.append(RunChange(run_id=root.run_id, status=RunStatus.WAITING, due_in_s=0))
    return [*emissions, *own], effects


def own_event(command: Command) -> Emission:
    """Return the application's own event that a command asks for.

    Raises ValidationError when its type has a registered model that it does not fit.
    """
    body = command.body
    type_, data = body["type"], body["data"]
    model = custom_model(type_)
    event: Event = (
        UnknownEvent(type=type_, fields=data)
        if model is None
        else model.model_validate({**data, "type": type_})
    )
    context = Context(
        user_id=body.get("user_id"),
        trace_id=body.get("trace_id"),
        metadata=body.get("metadata") or {},
    )
    return Emission(event, context)
