"""What was asked for, what was written for it, and what the rows beside the log say."""

from collections import Counter
from collections.abc import Iterator

from holdfast.events.commands import CommandState
from holdfast.events.kinds import is_terminal
from holdfast.events.store import ENDED
from holdfast.verify.history import Outcome
from holdfast.verify.index import Index
from holdfast.verify.invariants import Invariant
from holdfast.verify.violation import Violation

# An accepted command of these kinds is told by an event of its own; of the others, by what it brought about.
_TOLD = frozenset({"start", "cancel"})
_SETTLEMENTS = {
    "command.accepted": CommandState.ACCEPTED,
    "command.rejected": CommandState.REJECTED,
}


def durability(index: Index) -> Iterator[Violation]:
    """Every append that was confirmed is in the log at its seq with its bytes; one that was refused is not; every run
    whose start was answered with success is in the log.
    """
    for append in index.history.appends:
        if append.seq < index.min_seq(append.session):
            continue  # erased or compacted since
        event = index.event(append.session, append.seq)
        there = event is not None and event.digest == append.digest
        says = None
        if append.outcome is Outcome.OK and not there:
            what = "is not in the log" if event is None else "was replaced by other bytes"
            says = f"an append of {append.writer} was confirmed and {what}"
        elif append.outcome is Outcome.FENCED and there:
            says = f"an append of {append.writer} was refused and is in the log"
        if says is not None:
            yield Violation(
                invariant=Invariant.DURABILITY,
                says=says,
                session=append.session,
                seq=append.seq,
                at=append.asked_at,
            )
    if not index.history.settled:
        return
    for ask in index.history.asks:
        if ask.kind == "start" and ask.run_id not in index.of_run:
            says = f"run {ask.run_id} was accepted and is nowhere in the log"
            yield Violation(
                invariant=Invariant.DURABILITY, says=says, session=ask.session, at=ask.at
            )


def commands(index: Index) -> Iterator[Violation]:
    """Every command that was accepted is settled, by one event where it has one of its own, and no command by two;
    the same idempotency key has one effect.
    """
    yield from _keys(index)
    settled: Counter[str] = Counter()
    told: Counter[tuple[str, str]] = Counter()
    states: dict[str, CommandState] = {}
    for log in index.history.logs:
        for event in log.events:
            if event.command_id is None:
                continue
            settled[event.command_id] += 1
            states[event.command_id] = _SETTLEMENTS.get(event.type, CommandState.OPEN)
            told[log.session, event.command_kind or ""] += 1
            if settled[event.command_id] == 2:
                says = f"command {event.command_id} was settled twice"
                yield Violation(
                    invariant=Invariant.COMMANDS, says=says, session=log.session, seq=event.seq
                )
    if index.history.settled:
        yield from _unsettled(index, told)
        yield from _rows(index, settled, states)


def _keys(index: Index) -> Iterator[Violation]:
    runs: dict[str, str] = {}
    for ask in index.history.asks:
        if ask.key is not None and runs.setdefault(ask.key, ask.run_id) != ask.run_id:
            says = f"one key had two effects, runs {runs[ask.key]} and {ask.run_id}"
            yield Violation(invariant=Invariant.COMMANDS, says=says, session=ask.session, at=ask.at)


def _unsettled(index: Index, told: Counter[tuple[str, str]]) -> Iterator[Violation]:
    # The same run was perhaps asked for twice under one key: that is one command.
    asked = Counter(
        (session, kind)
        for session, kind, _ in {(ask.session, ask.kind, ask.run_id) for ask in index.history.asks}
    )
    for (session, kind), n in asked.items():
        if session in index.logs and told[session, kind] < n:
            says = f"{n} commands of kind {kind} were accepted, {told[session, kind]} are settled"
            yield Violation(invariant=Invariant.COMMANDS, says=says, session=session)


def _rows(
    index: Index, settled: Counter[str], states: dict[str, CommandState]
) -> Iterator[Violation]:
    for row in index.history.commands:
        says = None
        rejected = row.state == CommandState.REJECTED
        if row.state == CommandState.OPEN:
            says = f"command {row.command_id} ({row.kind}) is still open"
        elif (row.kind in _TOLD or rejected) and not settled[row.command_id]:
            says = f"command {row.command_id} ({row.kind}) is {row.state} without an event"
        elif row.command_id in states and states[row.command_id] != row.state:
            says = f"command {row.command_id} is {row.state} and the log says otherwise"
        # An erasure takes the events that settled what came before it.
        if says is not None and (row.state == CommandState.OPEN or index.min_seq(row.session) == 1):
            yield Violation(invariant=Invariant.COMMANDS, says=says, session=row.session)


def row_and_log(index: Index) -> Iterator[Violation]:
    """A run's row says what its events say: it has ended exactly when the log has its terminal event, in the same
    way, and its attempts are the highest attempt in the log.
    """
    for row in index.history.runs:
        if index.min_seq(row.session) > 1:
            continue  # its events are gone
        events = [event for _, event in index.of_run.get(row.run_id, ())]
        ends = [event for event in events if is_terminal(event.type)]
        status = ends[0].type.removeprefix("run.") if ends else None
        attempts = max((event.attempt or 0 for event in events), default=0)
        says = None
        if status is None and row.status in ENDED:
            says = f"its row is {row.status}, the log has no terminal event"
        elif status is not None and row.status != status:
            says = f"its row is {row.status}, the log says {status}"
        elif row.attempts != attempts:
            says = f"its row counts {row.attempts} attempts, the log {attempts}"
        if says is not None:
            yield Violation(
                invariant=Invariant.ROW_AND_LOG,
                says=f"run {row.run_id}: {says},",
                session=row.session,
                seq=ends[0].seq if ends else None,
            )
