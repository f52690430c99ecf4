"""What must come about within a bound, and what must stay within one."""

from collections.abc import Iterator

from holdfast.events.kinds import is_terminal
from holdfast.verify.history import Client, Got
from holdfast.verify.index import Index
from holdfast.verify.invariants import Invariant
from holdfast.verify.violation import Violation


def liveness(index: Index) -> Iterator[Violation]:
    """Within the bound after everything has come to rest every accepted run has ended and every client that stayed
    has all that it asked for; on one clock, no connected client waited longer than the bound for an event.
    """
    if index.history.settled:
        yield from _hanging(index)
        yield from _behind(index)
    if index.history.one_clock:
        for client in index.history.clients:
            yield from _late(index, client)


def _hanging(index: Index) -> Iterator[Violation]:
    seen: set[str] = set()
    for ask in index.history.asks:
        if ask.run_id in seen or ask.kind != "start":
            continue
        seen.add(ask.run_id)
        events = index.of_run.get(ask.run_id, ())
        if events and not any(is_terminal(event.type) for _, event in events):
            says = f"run {ask.run_id} has not ended; its last event is {events[-1][1].type},"
            yield Violation(
                invariant=Invariant.LIVENESS, says=says, session=ask.session, seq=events[-1][1].seq
            )


def _behind(index: Index) -> Iterator[Violation]:
    for client in index.history.clients:
        reached, head = client.reached, index.head(client.session)
        if not client.stayed:
            continue
        if reached is None:
            says = f"{client.name} never got a connection"
            yield Violation(
                invariant=Invariant.LIVENESS, says=says, session=client.session, client=client.name
            )
            continue
        missing, first = index.owed(client.session, client.want, after=reached, through=head)
        if missing:
            yield Violation(
                invariant=Invariant.LIVENESS,
                says=f"{client.name} is at {reached} and waits for {missing} more,",
                session=client.session,
                seq=first,
                client=client.name,
                connection=len(client.connections) - 1,
            )


def _late(index: Index, client: Client) -> Iterator[Violation]:
    for number, connection in enumerate(client.connections):
        for row, seen in enumerate(connection.seen):
            if seen.kind is not Got.EVENT or not seen.live:
                continue
            event = index.event(client.session, seen.seq)
            if event is None or event.at is None:
                continue
            if seen.at - event.at > index.history.bound_s:
                yield Violation(
                    invariant=Invariant.LIVENESS,
                    says=f"{client.name} waited {seen.at - event.at:.1f} s for an event,",
                    session=client.session,
                    seq=seen.seq,
                    client=client.name,
                    connection=number,
                    row=row,
                    at=seen.at,
                )
                return


def bounded(index: Index) -> Iterator[Violation]:
    """When the clients are gone, connections, descriptors and memory of every process are back within their bounds."""
    for measure in index.history.measures:
        if measure.after > measure.most:
            yield Violation(
                invariant=Invariant.BOUNDED,
                says=f"{measure.process}: {measure.name} was {measure.before:g} before the clients came,"
                f" is {measure.after:g} without them and may be {measure.most:g}",
            )
