"""What is noted while a schedule runs: the producers' log, the outside's ledger, what was asked, what is wrong."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from holdfast.events.store import Outcome as Resolved
from holdfast.events.store import SessionBatch
from holdfast.verify.history import Append, Ask, Call, Fault, Outcome
from holdfast.verify.log import digest_of

# Of what should never be, so many lines are kept: the first ones tell, the rest is echo.
WRONGS_MAX = 20


@dataclass(slots=True)
class _Tried:
    """What a writer knows of one event that it handed to the store, over all tries."""

    asked_at: float
    epoch: int
    open: int = 0  # tries of which nobody knows what became of them
    outcome: Outcome = Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Recorded:
    """How an event came into the log."""

    epoch: int
    at: float
    event_id: UUID
    key: str | None


@dataclass(slots=True)
class Records:
    """All notes of one schedule."""

    counters: Counter[str] = field(default_factory=Counter[str])
    recorded: dict[tuple[int, int], Recorded] = field(
        default_factory=dict[tuple[int, int], Recorded]
    )
    # The epoch of each session's latest claim, from the moment of the claim on.
    claimed: dict[int, int] = field(default_factory=dict[int, int])
    calls: list[Call] = field(default_factory=list[Call])
    asks: list[Ask] = field(default_factory=list[Ask])
    faults: list[Fault] = field(default_factory=list[Fault])
    wrongs: list[str] = field(default_factory=list[str])
    trace: list[str] | None = None
    chance: random.Random = field(default_factory=random.Random)  # of what happens outside
    _tried: dict[tuple[str, int, int, bytes, UUID], _Tried] = field(
        default_factory=dict[tuple[str, int, int, bytes, UUID], _Tried]
    )

    def count(self, what: str, n: int = 1) -> None:
        """Count something that must happen in a campaign, or is good to know."""
        self.counters[what] += n

    def wrong(self, what: str) -> None:
        """Note what should never be, whatever was done to the system."""
        self.counters["wrong"] += 1
        if len(self.wrongs) < WRONGS_MAX:
            self.wrongs.append(what)

    # --- the producers' log --------------------------------------------------------------------------

    def asked(self, writer: str, batches: Sequence[SessionBatch], now: float) -> "Try":
        """Note that a writer hands events to the store; tell the result what became of them."""
        found: dict[int, list[_Tried]] = {}
        for batch in batches:
            tried = found.setdefault(batch.session, [])
            for seq, event in enumerate(batch.events, batch.expected_head + 1):
                key = (writer, batch.session, seq, digest_of(event.body), event.event_id)
                one = self._tried.get(key)
                if one is None:
                    one = self._tried[key] = _Tried(now, batch.epoch)
                tried.append(one)
        return Try(found)

    def appends(self, names: Mapping[int, str]) -> list[Append]:
        """Return the producers' log; `names` are the sessions' own.

        Two owners whose clocks are behind may write the same bytes: both time them as the event before. The one whose
        event is not the one in the log is left out, or it would seem to have been refused and recorded.
        """
        return [
            Append(
                writer=writer,
                session=names[session],
                seq=seq,
                digest=digest,
                asked_at=tried.asked_at,
                outcome=tried.outcome,
                epoch=tried.epoch,
            )
            for (writer, session, seq, digest, event_id), tried in self._tried.items()
            if session in names
            and (tried.outcome is Outcome.OK or self._stands(session, seq, event_id))
        ]

    def _stands(self, session: int, seq: int, event_id: UUID) -> bool:
        """Whether no other event than this one has the place."""
        recorded = self.recorded.get((session, seq))
        return recorded is None or recorded.event_id == event_id


@dataclass(slots=True)
class Try:
    """One call of `append` or `resolve`."""

    found: Mapping[int, Sequence[_Tried]]

    def sent(self) -> None:
        """It is under way: from here on it may be carried out at any time."""
        for tried in self.found.values():
            for one in tried:
                one.open += 1

    def done(self, refused: frozenset[int]) -> None:
        """It was answered."""
        for session, tried in self.found.items():
            for one in tried:
                one.open -= 1
                if session not in refused:
                    one.outcome = Outcome.OK
                elif one.outcome is Outcome.UNKNOWN and not one.open:
                    # While another try is open this may be its echo: it came through first.
                    one.outcome = Outcome.FENCED

    def nothing_done(self) -> None:
        """It was answered with an error after which nothing was done."""
        for tried in self.found.values():
            for one in tried:
                one.open -= 1

    def resolved(self, outcomes: Mapping[int, Resolved]) -> None:
        """It was looked up."""
        for session, tried in self.found.items():
            for one in tried:
                if outcomes[session] is Resolved.RECORDED:
                    one.outcome = Outcome.OK
                elif outcomes[session] is Resolved.FENCED and one.outcome is Outcome.UNKNOWN:
                    one.outcome = Outcome.FENCED


def brief(fields: Mapping[str, Any]) -> str:
    """Return fields as `name=value …` for a trace."""
    return " ".join(f"{name}={value}" for name, value in fields.items())
