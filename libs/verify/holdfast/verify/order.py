"""What one connection brought, held against what was asked for: the places where the order of ids is broken."""

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.verify.history import Client, Connection, Got, Seen
from holdfast.verify.index import Index


@dataclass(frozen=True, slots=True)
class Slip:
    """A frame that may not stand where it stands."""

    kind: str  # gap, repeat, stray, back, ahead, reset or broken
    row: int
    seq: int  # the first one that is wrong
    missing: int  # wanted events that were passed over
    says: str


def slips(index: Index, client: Client, connection: Connection) -> Iterator[Slip]:
    """Yield every slip of a connection, in the order of its frames; each is judged from the last good id."""
    cursor = connection.cursor
    for row, seen in enumerate(connection.seen):
        match seen.kind:
            case Got.EVENT:
                slip = _event(index, client, cursor, row, seen)
                cursor = max(cursor, seen.seq)
            case Got.ID:
                slip = _id(index, client, cursor, row, seen)
                cursor = max(cursor, seen.seq)
            case Got.RESET:
                slip = _reset(index, client, cursor, row, seen)
                cursor = seen.seq
            case Got.BROKEN:
                slip = Slip("broken", row, cursor + 1, 0, f"a frame that is none: {seen.said}")
            case Got.CONTROL:
                slip = None
        if slip is not None:
            yield slip


def _event(index: Index, client: Client, cursor: int, row: int, seen: Seen) -> Slip | None:
    if seen.seq <= cursor:
        return Slip("repeat", row, seen.seq, 0, f"event {seen.seq} came after id {cursor}")
    if seen.seq > cursor + 1:
        missing, first = index.owed(client.session, client.want, after=cursor, through=seen.seq - 1)
        says = f"event {seen.seq} came after id {cursor}, {missing} wanted between them never did"
        return Slip("gap", row, first or cursor + 1, missing, says)
    if index.event(client.session, seen.seq) is not None and not index.wants(
        client.session, client.want, seen.seq
    ):
        return Slip("stray", row, seen.seq, 0, f"event {seen.seq} was not asked for")
    return None


def _id(index: Index, client: Client, cursor: int, row: int, seen: Seen) -> Slip | None:
    if seen.seq < cursor:
        return Slip("back", row, seen.seq, 0, f"the cursor went from {cursor} back to {seen.seq}")
    if seen.seq > index.head(client.session):
        says = f"the cursor went to {seen.seq}, beyond the log's head"
        return Slip("ahead", row, seen.seq, 0, says)
    missing, first = index.owed(client.session, client.want, after=cursor, through=seen.seq)
    if missing:
        says = f"the cursor went from {cursor} to {seen.seq}, over {missing} that were asked for"
        return Slip("gap", row, first, missing, says)
    return None


def _reset(index: Index, client: Client, cursor: int, row: int, seen: Seen) -> Slip | None:
    # A cursor beyond the head or below what is kept can't be served as it is; any other can.
    if index.min_seq(client.session) - 1 <= cursor <= index.head(client.session):
        says = f"a cursor of the log, {cursor}, was reset to {seen.seq}"
        return Slip("reset", row, cursor + 1, 0, says)
    return None
