"""The least that shows a violation: the rows around its place, out of every log, on one timeline."""

from collections.abc import Iterator
from dataclasses import replace

from holdfast.verify.history import Client, Got, Seen
from holdfast.verify.index import Index
from holdfast.verify.violation import Line, Violation

# Five rows of each log on either side: enough to see what should have stood there, and it fits on a screen.
ROWS_AROUND = 5

# Other clients that saw the same seq: two show whether one client or all of them were told so.
OTHERS_MAX = 2


def with_witness(index: Index, violation: Violation) -> Violation:
    """Return the violation with its witness, the seed and the schedule of faults."""
    lines = list(_lines(index, violation))
    lines.sort(key=_moment)
    history = index.history
    return replace(violation, witness=tuple(lines), seed=history.seed, schedule=history.schedule)


def _moment(line: Line) -> tuple[float, float, str]:
    # What has no seq is an ending, after the frame of the same moment; what has no time is a copy, and comes first.
    seq = float("inf") if line.seq is None else line.seq
    return (0.0 if line.at is None else line.at, seq, line.log)


def _lines(index: Index, violation: Violation) -> Iterator[Line]:
    session = violation.session
    if session is None:
        return
    seq = violation.seq
    for ask in index.history.asks:
        if ask.session == session and (seq is None or ask.run_id in violation.says):
            yield Line(ask.at, "asked", None, f"{ask.kind} of {ask.run_id}")
    if seq is None:
        return
    about = range(seq - ROWS_AROUND, seq + ROWS_AROUND + 1)
    yield from _of_log(index, session, about, violation)
    for append in index.history.appends:
        if append.session == session and append.seq in about:
            what = f"{append.outcome} {append.digest.hex()[:8]}"
            bad = append.seq == seq and append.asked_at == violation.at
            yield Line(append.asked_at, append.writer, append.seq, what, bad)
    for copy in index.history.copies:
        if copy.session == session:
            for place, digest in copy.events:
                if place in about:
                    bad = place == seq and violation.says.startswith(copy.name)
                    yield Line(None, copy.name, place, digest.hex()[:8], bad)
    yield from _of_clients(index, violation, about)


def _of_log(index: Index, session: str, about: range, violation: Violation) -> Iterator[Line]:
    log = index.logs.get(session)
    for event in log.events if log else ():
        if event.seq in about:
            epoch = f" epoch {event.epoch}" if event.epoch is not None else ""
            run = f" {event.run_id}" if event.run_id else ""
            what = f"{event.type}{run}{epoch} {event.digest.hex()[:8]}"
            yield Line(event.at, "log", event.seq, what, event.seq == violation.seq)


def _of_clients(index: Index, violation: Violation, about: range) -> Iterator[Line]:
    others = 0
    for client in index.history.clients:
        if client.name == violation.client and client.session == violation.session:
            yield from _of_the_client(client, violation, about)
        elif client.session == violation.session and others < OTHERS_MAX:
            lines = [
                _line(client.name, seen)
                for connection in client.connections
                for seen in connection.seen
                if seen.kind is Got.EVENT and seen.seq in about
            ]
            # Only who was there: the others have nothing to say about this place.
            others += bool(lines)
            yield from lines[: 2 * ROWS_AROUND + 1]


def _of_the_client(client: Client, violation: Violation, about: range) -> Iterator[Line]:
    for number, connection in enumerate(client.connections):
        if violation.connection is None or not 0 <= violation.connection - number <= 1:
            continue
        log = f"{client.name}#{number + 1}"
        yield Line(
            connection.at, log, connection.cursor, f"asks {connection.gateway} for what follows"
        )
        row = violation.row if number == violation.connection else None
        if row is not None:
            first = max(0, row - ROWS_AROUND)
            rows = range(first, min(len(connection.seen), row + ROWS_AROUND + 1))
        else:
            rows = range(max(0, len(connection.seen) - ROWS_AROUND), len(connection.seen))
        for place in rows:
            yield _line(log, connection.seen[place], bad=place == row)
        if rows.stop == len(connection.seen):
            last = connection.seen[-1].at if connection.seen else connection.at
            yield Line(last, log, None, f"ends: {connection.ending}")


def _line(log: str, seen: Seen, *, bad: bool = False) -> Line:
    match seen.kind:
        case Got.EVENT:
            whose = f" of {seen.session}" if seen.session else ""
            what = f"event{whose} {seen.digest.hex()[:8]}"
        case Got.ID:
            what = "id only"
        case Got.RESET | Got.CONTROL:
            what = seen.said
        case Got.BROKEN:
            what = f"broken: {seen.said}"
    return Line(seen.at, log, seen.seq or None, what, bad)
