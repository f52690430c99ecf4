"""What a log must be by itself: dense, ended once, each step once, one writer at a time."""

from collections.abc import Iterator

from holdfast.events.kinds import is_terminal
from holdfast.verify.index import Index
from holdfast.verify.invariants import Invariant
from holdfast.verify.log import LogEvent, SessionLog
from holdfast.verify.violation import Violation

# What begins a step in an attempt: the second is a step that an earlier attempt had begun.
_BEGINNINGS = ("step.started", "step.restarted")


def dense_log(index: Index) -> Iterator[Violation]:
    """The seqs of a session's log are its first kept one, the next, and so on to its head, each once and in order;
    every event's own `seq` is the one that it stands at.
    """
    for log in index.history.logs:
        if (found := _hole(log)) is not None:
            seq, says = found
            yield Violation(invariant=Invariant.DENSE_LOG, says=says, session=log.session, seq=seq)


def _hole(log: SessionLog) -> tuple[int, str] | None:
    expected = log.min_seq
    for event in log.events:
        if event.seq > expected:
            return expected, f"the log goes from {expected - 1} to {event.seq}"
        if event.seq < expected:
            return event.seq, f"{event.seq} stands after {expected - 1}"
        if event.said_seq != event.seq:
            return event.seq, f"the event at {event.seq} says that it is {event.said_seq}"
        expected += 1
    if expected - 1 != log.head:
        return expected, f"the log ends at {expected - 1}, its head is {log.head}"
    return None


def one_terminal(index: Index) -> Iterator[Violation]:
    """A run has at most one terminal event, and no event of the run follows it."""
    for events in index.of_run.values():
        ended: LogEvent | None = None
        for session, event in events:
            if ended is not None:
                what = "ended again" if is_terminal(event.type) else "went on"
                yield Violation(
                    invariant=Invariant.ONE_TERMINAL,
                    says=f"run {event.run_id} {what} with {event.type} after {ended.type} at {ended.seq},",
                    session=session,
                    seq=event.seq,
                )
                break
            if is_terminal(event.type):
                ended = event


def step_once(index: Index) -> Iterator[Violation]:
    """A step of a run is completed at most once, after its beginning was recorded, and by the owner that recorded
    the beginning in the same attempt; a key is recorded once in its run; what was called outside has its beginning
    in the log, at most once in each attempt.
    """
    called = _calls(index)
    for run_id, events in index.of_run.items():
        for found in (_wrong_step(events), _key_twice(events), called.get(run_id)):
            if found is not None:
                session, seq, says = found
                yield Violation(
                    invariant=Invariant.STEP_ONCE,
                    says=f"run {run_id}: {says},",
                    session=session,
                    seq=seq,
                )


def _wrong_step(events: list[tuple[str, LogEvent]]) -> tuple[str, int, str] | None:
    begun: set[str] = set()
    writers: dict[tuple[str, int | None], int | None] = {}
    completed: dict[str, int] = {}
    for session, event in events:
        if event.step is None:
            continue
        if event.type in _BEGINNINGS:
            begun.add(event.step)
            writers[event.step, event.attempt] = event.epoch
        elif event.type == "step.completed":
            if event.step in completed:
                says = f"step {event.step} was completed at {completed[event.step]} and again"
                return session, event.seq, says
            if event.step not in begun:
                return session, event.seq, f"step {event.step} was completed and never begun"
            # A later attempt may record what an earlier one had on disk: then there is no beginning of its own.
            writer = writers.get((event.step, event.attempt))
            if writer is not None and event.epoch is not None and writer != event.epoch:
                says = f"step {event.step} was begun in epoch {writer}, completed in {event.epoch}"
                return session, event.seq, says
            completed[event.step] = event.seq
    return None


def _key_twice(events: list[tuple[str, LogEvent]]) -> tuple[str, int, str] | None:
    keys: dict[str, int] = {}
    for session, event in events:
        if event.key is not None and keys.setdefault(event.key, event.seq) != event.seq:
            return (
                session,
                event.seq,
                f"key {event.key} was recorded at {keys[event.key]} and again",
            )
    return None


def _calls(index: Index) -> dict[str, tuple[str, int | None, str]]:
    """Return for each run the first call from outside that the log does not account for."""
    if not index.history.calls:
        return {}
    begun = {
        (event.run_id, event.step, event.attempt)
        for log in index.history.logs
        for event in log.events
        if event.type in _BEGINNINGS
    }
    found: dict[str, tuple[str, int | None, str]] = {}
    seen: set[tuple[str, str, int]] = set()
    for call in index.history.calls:
        place = (call.run_id, call.step, call.attempt)
        says = None
        if place not in begun:
            says = f"step {call.step} was called in attempt {call.attempt}, which never began it"
        elif place in seen:
            says = f"step {call.step} was called twice in attempt {call.attempt}"
        seen.add(place)
        if says is not None:
            found.setdefault(call.run_id, (call.session, None, says))
    return found


def single_writer(index: Index) -> Iterator[Violation]:
    """The epoch of a session's events never goes back, and none is above the session's own."""
    for log in index.history.logs:
        highest = 0
        for event in log.events:
            if event.epoch is None:
                continue
            above = log.epoch is not None and event.epoch > log.epoch
            if event.epoch < highest or above:
                after = f"the session's own {log.epoch}" if above else f"epoch {highest}"
                yield Violation(
                    invariant=Invariant.SINGLE_WRITER,
                    says=f"epoch {event.epoch} wrote after {after},",
                    session=log.session,
                    seq=event.seq,
                )
                break
            highest = event.epoch
