"""From a world to a history, and from the history to what it breaks: by the checker that `holdfast verify` uses."""

# pyright: reportPrivateUsage=false

from collections import Counter

from holdfast.verify.checker import check
from holdfast.verify.history import CommandRow as CommandSeen
from holdfast.verify.history import Copy, History
from holdfast.verify.history import RunRow as RunSeen
from holdfast.verify.log import LogEvent, SessionLog, digest_of
from tests.simulation.workflows import TOLD_TO
from tests.simulation.world import World

# How workflows fail that were told to, and those that are given up.
_OWN_DOING = (TOLD_TO.encode(), b'"code":"poison"')


def history_of(world: World) -> History:
    """Return everything that anybody wrote down."""
    state, stream = world.backend.store._state, world.backend.stream
    recorded = world.records.recorded
    names = {row.id: row.session_id for row in state.sessions.values()}
    logs: list[SessionLog] = []
    copies: list[Copy] = []
    runs: list[RunSeen] = []
    commands: list[CommandSeen] = []
    for row in state.sessions.values():
        events: list[LogEvent] = []
        for seq, event in enumerate(row.events, row.min_seq):
            how = recorded.get((row.id, seq))
            if how is None:
                world.records.wrong(f"nobody recorded event {seq} of session {row.session_id}")
                continue
            events.append(
                LogEvent.of(
                    event.body,
                    seq=seq,
                    at=how.at,
                    epoch=how.epoch,
                    key=how.key,
                    event_id=str(how.event_id),
                )
            )
        logs.append(
            SessionLog(
                session=row.session_id,
                events=events,
                head=row.head,
                min_seq=row.min_seq,
                epoch=row.epoch,
            )
        )
        if (window := stream._windows.get(row.id)) is not None:
            copies.append(
                Copy(
                    name="window",
                    session=row.session_id,
                    events=[(entry.seq, digest_of(entry.body)) for entry in window.entries],
                    whole=False,
                )
            )
        runs += [
            RunSeen(
                run_id=run.run_id,
                session=row.session_id,
                status=run.status.value,
                attempts=run.attempts,
            )
            for run in row.runs
        ]
        commands += [
            CommandSeen(
                command_id=command.command_id,
                session=row.session_id,
                kind=command.kind.value,
                state=command.state.value,
                run_id=command.run_id,
            )
            for command in row.commands
        ]
    erased = {plan.name for plan in world.plan.sessions if plan.erased}
    return History(
        logs=logs,
        clients=[client.seen for client in world.clients],
        appends=world.records.appends(names),
        copies=copies,
        runs=runs,
        commands=commands,
        asks=world.records.asks,
        # What an erasure took can't be held against the calls.
        calls=[call for call in world.records.calls if call.session not in erased],
        settled=True,
        one_clock=False,
        seed=world.plan.seed,
        schedule=world.records.faults,
    )


def judge(world: World, history: History) -> list[str]:
    """Return every broken promise as text, with its witness; nothing is a pass."""
    found = [violation.text() for violation in check(history)]
    found += [f"S: {wrong}" for wrong in world.records.wrongs]
    if not world.rested and not found:
        found.append(f"S: not at rest: {_restless(world)}")
    found += _executions(history)
    found += _failures(world)
    return found


def _executions(history: History) -> list[str]:
    """A step's function is called at most once in each attempt, so no more often than there were attempts."""
    attempts = {run.run_id: run.attempts for run in history.runs}
    called = Counter((call.run_id, call.step) for call in history.calls)
    return [
        f"S: step {step} of run {run_id} was called {n} times in {attempts.get(run_id, 0)} attempts"
        for (run_id, step), n in called.items()
        if n > attempts.get(run_id, 0)
    ]


def _failures(world: World) -> list[str]:
    """A run fails by its own doing: because it raises, or because it kills its workers. No fault is a reason."""
    return [
        f"S: a run of session {row.session_id} failed: {event.body.decode()}"
        for row in world.backend.store._state.sessions.values()
        for event in row.events
        if event.type == "run.failed" and not any(why in event.body for why in _OWN_DOING)
    ]


def _restless(world: World) -> str:
    state = world.backend.store._state
    said: list[str] = []
    if world.callers.busy:
        said.append("callers still ask")
    for row in state.sessions.values():
        said += [f"{run.run_id} is {run.status}, strikes {run.strikes}" for run in row.open_runs()]
        said += [f"{command.kind} is open" for command in row.open_commands()]
    said += [
        f"{client.seen.name} is at {client.reached}" for client in world.clients if not client.over
    ]
    return "; ".join(said)
