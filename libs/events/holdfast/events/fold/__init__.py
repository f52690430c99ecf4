"""Events → state, purely: what a session looks like at a seq.

The same events give the same state on every machine and in every language (the browser has a twin
of this fold, and both are tested with the vectors in `tests/golden/fold`). Folding reads the
wire's JSON and nothing else; no sequence of valid events makes it fail, and a type that it doesn't
know changes nothing but the seq.

What it says of a run that was interrupted and taken over is what it would say had nothing
happened, apart from what only an interruption can change (`without_attempts` names those fields):

- `step.restarted` withdraws everything that was shown under that step, `step.retrying` what is
  unfinished: texts become empty and the entries are marked `withdrawn`, in their place, until an
  event goes on with them. A restarted step shows it all again, from its start.
- Starts and deltas of something complete are ignored.
- `run.resumed` leaves everything open as it is. A terminal event closes all that its run left
  open: messages are marked `cut`, the rest is `failed` or `cancelled` with the run, questions are
  no longer asked.

Nothing grows without a bound, neither in entries nor in what they weigh: see the constants in
`state`. Beyond them the oldest entry of its kind goes and `forgotten` counts it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from holdfast.events.fold import planning, running, saying, showing, working
from holdfast.events.fold.entries import Json
from holdfast.events.fold.state import State
from holdfast.events.fold.views import messages, without_attempts
from holdfast.events.fold.wire import FOLD_VERSION, from_json, from_plain, to_json, to_plain
from holdfast.events.recorded import RecordedEvent

Handler = Callable[[State, dict[str, Any], dict[str, Json]], None]

HANDLERS: Mapping[str, Handler] = {
    **running.HANDLERS,
    **working.HANDLERS,
    **saying.HANDLERS,
    **planning.HANDLERS,
    **showing.HANDLERS,
}
"""What each type does to a state: it gets the state, the envelope and its data."""

UNSEEN = frozenset(
    {"checkpoint.restored", "command.rejected", "middleware.executed", "middleware.failed"}
)
"""Types of ours that the state doesn't show."""


def empty_state() -> State:
    """Return the state before the first event."""
    return State()


def apply(state: State, recorded: RecordedEvent) -> None:
    """Bring `state` from an earlier seq to the event's, in place.

    An event at or below the state's seq was applied before and changes nothing.
    The event itself is never changed.
    """
    if recorded.seq <= state.seq:
        return
    state.seq = recorded.seq
    handler = HANDLERS.get(recorded.type)
    if handler is not None:
        envelope = recorded.envelope
        if state.session["session_id"] is None:
            state.session["session_id"] = envelope["session_id"]
        handler(state, envelope, envelope["data"])
        state.trim()


def fold(events: Iterable[RecordedEvent]) -> State:
    """Return what the events, in seq order, add up to."""
    state = empty_state()
    for recorded in events:
        apply(state, recorded)
    return state


__all__ = [
    "FOLD_VERSION",
    "HANDLERS",
    "UNSEEN",
    "State",
    "apply",
    "empty_state",
    "fold",
    "from_json",
    "from_plain",
    "messages",
    "to_json",
    "to_plain",
    "without_attempts",
]
