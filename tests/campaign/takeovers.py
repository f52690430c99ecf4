"""How long sessions stood still when their worker died: what the promise about the lease is held against."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from holdfast.events.kinds import is_terminal
from holdfast.verify.history import Ask
from holdfast.verify.log import LogEvent, SessionLog
from tests.campaign.notes import Notes, Owned

# What the promise adds to the lease.
SLACK_S = 2.0


@dataclass(frozen=True, slots=True)
class Standstill:
    """A session whose owner died while a run in it was open."""

    worker: str
    session: str
    epoch: int
    at: float  # when the owner died
    claimed_s: float | None  # until somebody claimed it; None: nobody did
    resumed_s: (
        float | None
    )  # until its next event was recorded, where the next owner lived to write one

    def text(self) -> str:
        """Say it in a line."""
        took = "for ever" if self.claimed_s is None else f"for {self.claimed_s:.2f} s"
        return f"session {self.session} of {self.worker} (epoch {self.epoch}) had no owner {took}"


def standstills(
    notes: Notes,
    deaths: Mapping[str, float],
    numbers: Mapping[str, int],
    logs: Sequence[SessionLog],
    asks: Sequence[Ask],
    *,
    limited: Collection[str] = (),
) -> list[Standstill]:
    """Return every session that was owned by a worker when it died, and had an open run then.

    The `limited` runs wait for a slot before they begin, and whatever is behind them in their session with them.
    """
    names = {number: session for session, number in numbers.items()}
    events = {log.session: log.events for log in logs}
    asked: dict[str, list[Ask]] = defaultdict(list)
    for ask in {ask.run_id: ask for ask in asks if ask.kind == "start"}.values():
        asked[ask.session].append(ask)
    claims: dict[int, list[Owned]] = defaultdict(list)
    for one in notes.owned:
        claims[one.session].append(one)
    found: list[Standstill] = []
    for one in notes.owned:
        session, at = names.get(one.session), deaths.get(one.worker)
        if session is None or at is None or one.at > at:
            continue
        if notes.left.get((one.worker, one.session, one.epoch), at) < at:
            continue
        later = [claim for claim in claims[one.session] if claim.epoch > one.epoch]
        following = min(later, key=lambda claim: claim.epoch, default=None)
        if following is not None and (following.at < at or following.epoch != one.epoch + 1):
            # It had lost the session before it died; or a claim came in between whose owner died untold.
            continue
        waiting = [ask for ask in asked[session] if _open(ask, events[session], one.epoch, at)]
        begun = any(_begun(ask, events[session], one.epoch) for ask in waiting)
        if not waiting or (not begun and any(ask.run_id in limited for ask in waiting)):
            continue
        claimed = None if following is None else following.at - at
        resumed = None
        if following is not None:
            written = [e.at for e in events[session] if e.epoch == following.epoch and e.at]
            resumed = min(written) - at if written else None
        found.append(Standstill(one.worker, session, one.epoch, at, claimed, resumed))
    return found


def _open(ask: Ask, events: Sequence[LogEvent], epoch: int, at: float) -> bool:
    """Tell whether a run had been asked for by then and was not ended by the owner who died."""
    if ask.at > at:
        return False
    end = next((e for e in events if e.run_id == ask.run_id and is_terminal(e.type)), None)
    return end is None or (end.epoch or 0) > epoch


def _begun(ask: Ask, events: Sequence[LogEvent], epoch: int) -> bool:
    """Tell whether the owner who died, or one before, had begun a run."""
    return any(
        e.run_id == ask.run_id and e.type == "run.started" and (e.epoch or 0) <= epoch
        for e in events
    )
