"""What a history adds up to: how much was delivered, how often clients were cut, how long anything took."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from holdfast.events.kinds import is_terminal
from holdfast.verify.history import Ending, Got, History
from holdfast.verify.index import Index
from holdfast.verify.order import slips


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of some durations, in seconds; None where there were none."""

    n: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of `values`, by nearest rank."""
        if not values:
            return cls(0)
        ordered = sorted(values)
        last = len(ordered) - 1
        p50, p95, p99 = (ordered[min(last, int(len(ordered) * q))] for q in (0.50, 0.95, 0.99))
        return cls(len(ordered), p50, p95, p99, ordered[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The numbers of a history."""

    sessions: int
    runs: int
    events: int
    clients: int
    connections: int
    delivered: int
    resumed: int  # connections that went on from an id
    cuts: int  # made on purpose
    lost: int  # connections that ended otherwise before their stream did
    gaps: int  # wanted events that a client was not sent where they belong
    duplicates: int
    latency: (
        Spread  # from an event's time in the log to its receipt by a client that was waiting for it
    )
    connect: Spread
    to_terminal: Spread  # from the acceptance of a run to the time of its terminal event

    def plain(self) -> dict[str, Any]:
        """Return them for a program."""
        return asdict(self)


def numbers(history: History, *, connects: Sequence[float] = ()) -> Numbers:
    """Add up a history; `connects` are the seconds that each connection took to be answered."""
    index = Index(history)
    connections = [(c, one) for c in history.clients for one in c.connections]
    found = [slip for client, one in connections for slip in slips(index, client, one)]
    ends = {
        event.run_id: event.at
        for log in history.logs
        for event in log.events
        if is_terminal(event.type) and event.at is not None
    }
    endings = [one.ending for _, one in connections]
    return Numbers(
        sessions=len(history.logs),
        runs=len({ask.run_id for ask in history.asks if ask.kind == "start"}),
        events=sum(len(log.events) for log in history.logs),
        clients=len(history.clients),
        connections=len(connections),
        delivered=sum(s.kind is Got.EVENT for _, one in connections for s in one.seen),
        resumed=sum(max(0, len(client.connections) - 1) for client in history.clients),
        cuts=endings.count(Ending.CUT),
        lost=endings.count(Ending.LOST),
        gaps=sum(slip.missing for slip in found),
        duplicates=sum(slip.kind == "repeat" for slip in found),
        latency=Spread.of(_latencies(index)),
        connect=Spread.of(connects),
        to_terminal=Spread.of(_to_terminal(history, ends)),
    )


def _latencies(index: Index) -> list[float]:
    found: list[float] = []
    for client in index.history.clients:
        for connection in client.connections:
            for seen in connection.seen:
                if seen.kind is Got.EVENT and seen.live:
                    event = index.event(client.session, seen.seq)
                    if event is not None and event.at is not None:
                        found.append(seen.at - event.at)
    return found


def _to_terminal(history: History, ends: Mapping[str | None, float]) -> list[float]:
    first: dict[str, float] = {}
    for ask in history.asks:
        if ask.kind == "start":
            first.setdefault(ask.run_id, ask.at)
    return [ends[run_id] - at for run_id, at in first.items() if run_id in ends]
