"""What a campaign must have done at least once: a promise that was never in danger was not tested."""

from collections import Counter
from collections.abc import Iterable, Mapping

from holdfast.events.store import EventRow

MUST_FIRE: Mapping[str, str] = {
    "takeover": "a session was taken over from an owner that did not release it",
    "append refused": "an owner that was replaced tried to append",
    "commit unknown, recorded": "a commit whose reply was lost turned out to be in the log",
    "commit unknown, absent": "a commit whose reply was lost turned out not to be",
    "commit unknown, fenced": "a commit whose reply was lost turned out to have another owner in its way",
    "publish dup": "events were published that the window had",
    "publish gap": "a window ended before the events that were to be published",
    "rebase": "a window was begun anew by an owner",
    "sweep": "a window was begun anew by the sweep",
    "push taken": "a gateway took events in that came with a wake-up",
    "push refused": "events that came with a wake-up did not follow what the gateway had",
    "repair, gap": "a gateway found a gap in a window",
    "repair, behind": "a window had less than a wake-up told of",
    "repair, away": "a gateway filled a feed while Redis was away",
    "head check found news": "a head check found what no wake-up had told",
    "cursor reset": "a cursor that no log reaches was reset",
    "came back after a drain": "a client was told to come back, and did",
    "stream ended, slow": "a reader that took nothing was let go",
    "told stalled": "clients were told that nobody works on their run",
    "told live": "clients were told that somebody does again",
    "lease.lost": "a worker learned from a renewal that it was replaced",
    "lease.suspended": "a worker that could not renew suspended itself",
    "lease.loop-blocked": "a lease was not renewed because the event loop stood still",
    "worker died of its workflow": "a workflow killed its worker",
    "poison": "a run that killed its workers was given up",
    "input answered": "somebody was asked and answered",
    "input expired": "nobody answered in time",
    "cancelled": "a run was cancelled",
    "command rejected": "a command came too late",
    "step restarted": "a step was begun again by a later attempt",
    "erased": "a session was erased",
}


# Events that are counted, each under its name in MUST_FIRE.
_TYPES = {
    "input.received": "input answered",
    "input.expired": "input expired",
    "run.cancelled": "cancelled",
    "command.rejected": "command rejected",
    "step.restarted": "step restarted",
    "session.erased": "erased",
}

_POISON = b'"code":"poison"'


def count_events(events: Iterable[EventRow], counters: Counter[str]) -> None:
    """Count what only the log tells."""
    for event in events:
        if (name := _TYPES.get(event.type)) is not None:
            counters[name] += 1
        elif event.type == "run.failed" and _POISON in event.body:
            counters["poison"] += 1


def silent(counters: Mapping[str, int]) -> list[str]:
    """Return what never happened."""
    return [name for name in MUST_FIRE if not counters.get(name)]
