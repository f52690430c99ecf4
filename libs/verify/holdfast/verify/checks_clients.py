"""What clients may see: in order, nothing that isn't on disk, the same bytes as everybody, nobody else's."""

from collections.abc import Iterator

from holdfast.verify.history import Client, Connection, Copy, Got, Seen
from holdfast.verify.index import Index
from holdfast.verify.invariants import Invariant
from holdfast.verify.order import slips
from holdfast.verify.violation import Violation


def client_order(index: Index) -> Iterator[Violation]:
    """On a connection every event's id is one above the last id; an id without an event moves forward, over nothing
    that was asked for; nothing comes that was not asked for; a client that comes back with its last id misses nothing.
    """
    for client in index.history.clients:
        furthest: int | None = None
        for number, connection in enumerate(client.connections):
            if furthest is not None and connection.cursor > furthest:
                says = f"the client came back with {connection.cursor}, its last id was {furthest}:"
                yield _broken(Invariant.CLIENT_ORDER, says, client, number, None, connection.cursor)
                break
            slip = next(slips(index, client, connection), None)
            if slip is not None:
                yield _broken(
                    Invariant.CLIENT_ORDER, slip.says + ",", client, number, slip.row, slip.seq
                )
                break
            furthest = max(furthest or 0, connection.reached)


def durable_before_visible(index: Index) -> Iterator[Violation]:
    """Every event that a client saw is in the log, and was handed to the store before the client saw it."""
    asked = {(a.session, a.seq, a.digest): a.asked_at for a in index.history.appends}
    for client in index.history.clients:
        for number, row, seen in _events(client):
            if index.event(client.session, seen.seq) is None and seen.seq >= index.min_seq(
                client.session
            ):
                says = f"{client.name} saw event {seen.seq}, which is not in the log,"
                yield _broken(Invariant.DURABLE_BEFORE_VISIBLE, says, client, number, row, seen.seq)
                break
            before = asked.get((client.session, seen.seq, seen.digest))
            if before is not None and seen.at < before:
                early = f"{before - seen.at:.3f} s before its append was asked for"
                yield _broken(
                    Invariant.DURABLE_BEFORE_VISIBLE,
                    f"{client.name} saw event {seen.seq} {early},",
                    client, number, row, seen.seq,
                )  # fmt: skip
                break


def agreement(index: Index) -> Iterator[Violation]:
    """Whoever has the event of a seq has the same bytes: every client, every gateway's pages, the Redis window and
    the log; a window is contiguous, and pages are the whole log.
    """
    for client in index.history.clients:
        for number, row, seen in _events(client):
            event = index.event(client.session, seen.seq)
            if event is not None and event.digest != seen.digest:
                says = f"{client.name} has other bytes of event {seen.seq} than the log"
                yield _broken(Invariant.AGREEMENT, says, client, number, row, seen.seq)
                break
    for copy in index.history.copies:
        if (found := _disagrees(index, copy)) is not None:
            seq, says = found
            yield Violation(
                invariant=Invariant.AGREEMENT,
                says=f"{copy.name}: {says},",
                session=copy.session,
                seq=seq,
            )


def _disagrees(index: Index, copy: Copy) -> tuple[int, str] | None:
    expected = index.min_seq(copy.session) if copy.whole else None
    for seq, digest in copy.events:
        if expected is not None and seq != expected:
            return min(seq, expected), f"{seq} stands where {expected} belongs"
        event = index.event(copy.session, seq)
        if event is None:
            return seq, f"event {seq} is not in the log"
        if event.digest != digest:
            return seq, f"other bytes of event {seq} than the log"
        expected = seq + 1
    if copy.whole and expected is not None and expected <= index.head(copy.session):
        return expected, f"it ends at {expected - 1}, the log's head is {index.head(copy.session)}"
    return None


def isolation(index: Index) -> Iterator[Violation]:
    """No client is sent an event of a session that it did not ask for, and no log holds one."""
    for client in index.history.clients:
        for number, row, seen in _events(client):
            if seen.session is not None and seen.session != client.session:
                says = f"{client.name} was sent an event of session {seen.session}"
                yield _broken(Invariant.ISOLATION, says, client, number, row, seen.seq)
                break
    for log in index.history.logs:
        for event in log.events:
            if event.session != log.session:
                yield Violation(
                    invariant=Invariant.ISOLATION,
                    says=f"the log holds an event of session {event.session}",
                    session=log.session,
                    seq=event.seq,
                )
                break


def _events(client: Client) -> Iterator[tuple[int, int, Seen]]:
    for number, connection in enumerate(client.connections):
        for row, seen in enumerate(connection.seen):
            if seen.kind is Got.EVENT:
                yield number, row, seen


def _broken(
    invariant: Invariant, says: str, client: Client, number: int, row: int | None, seq: int
) -> Violation:
    connection: Connection = client.connections[number]
    return Violation(
        invariant=invariant,
        says=says,
        session=client.session,
        seq=seq,
        client=client.name,
        connection=number,
        row=row,
        at=connection.seen[row].at if row is not None else connection.at,
    )
