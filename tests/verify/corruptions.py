"""One way each of breaking a history in one place, and the invariant that has to notice.

A corruption changes the history that it is given; it returns False where there is nothing to break.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from holdfast.events.kinds import is_terminal
from holdfast.verify import (
    Append,
    Ask,
    Call,
    Client,
    Connection,
    Got,
    History,
    Invariant,
    LogEvent,
    Measure,
    Outcome,
    Seen,
    Want,
)

Corruption = Callable[[History, random.Random], bool]

CORRUPTIONS: dict[str, tuple[Invariant, Corruption]] = {}


def breaks(invariant: Invariant) -> Callable[[Corruption], Corruption]:
    """Say which invariant has to notice."""

    def note(corruption: Corruption) -> Corruption:
        CORRUPTIONS[corruption.__name__] = (invariant, corruption)
        return corruption

    return note


def places(history: History, *, whole: bool = False) -> list[tuple[Client, Connection, int]]:
    """Return where clients saw events; with `whole`, only of clients without a filter."""
    return [
        (client, connection, row)
        for client in history.clients
        if not whole or client.want == Want()
        for connection in client.connections
        for row, seen in enumerate(connection.seen)
        if seen.kind is Got.EVENT
    ]


def rows(history: History, *types: str) -> list[tuple[list[LogEvent], int]]:
    """Return where the log has events of these types."""
    return [
        (log.events, place)  # type: ignore[misc]
        for log in history.logs
        for place, event in enumerate(log.events)
        if not types or event.type in types
    ]


def change(chance: random.Random, found: list[tuple[list, int]], **fields: object) -> bool:
    """Change one of them."""
    if not found:
        return False
    of, place = chance.choice(found)
    of[place] = replace(of[place], **fields)
    return True


def extend(history: History, chance: random.Random, type_: str) -> bool:
    """Let a run that has ended go on at the end of its log."""
    number = chance.randrange(len(history.logs))
    log = history.logs[number]
    ended = chance.choice([event for event in log.events if is_terminal(event.type)])
    seq = log.head + 1
    log.events.append(
        replace(ended, seq=seq, said_seq=seq, type=type_, key=None, step=None, epoch=log.epoch)
    )
    history.logs[number] = replace(log, head=seq)
    return True


# --- what clients saw ------------------------------------------------------------------------------


@breaks(Invariant.CLIENT_ORDER)
def a_client_misses_an_event(history: History, chance: random.Random) -> bool:
    found = [place for place in places(history) if place[2] < len(place[1].seen) - 1]
    _, connection, row = chance.choice(found)
    del connection.seen[row]
    return True


@breaks(Invariant.CLIENT_ORDER)
def a_client_gets_an_event_twice(history: History, chance: random.Random) -> bool:
    _, connection, row = chance.choice(places(history))
    connection.seen.insert(row + 1, connection.seen[row])
    return True


@breaks(Invariant.CLIENT_ORDER)
def a_client_gets_two_events_the_wrong_way_round(history: History, chance: random.Random) -> bool:
    found = [
        (connection.seen, row)
        for _, connection, row in places(history)
        if row + 1 < len(connection.seen) and connection.seen[row + 1].kind is Got.EVENT
    ]
    seen, row = chance.choice(found)
    seen[row], seen[row + 1] = seen[row + 1], seen[row]
    return True


@breaks(Invariant.CLIENT_ORDER)
def an_id_jumps_over_what_was_asked_for(history: History, chance: random.Random) -> bool:
    _, connection, row = chance.choice(places(history))
    connection.seen[row] = Seen(Got.ID, connection.seen[row].seq, connection.seen[row].at)
    return True


@breaks(Invariant.CLIENT_ORDER)
def an_id_goes_back(history: History, chance: random.Random) -> bool:
    _, connection, row = chance.choice(places(history))
    seen = connection.seen[row]
    connection.seen.insert(row + 1, Seen(Got.ID, seen.seq - 1, seen.at))
    return seen.seq > 1


@breaks(Invariant.CLIENT_ORDER)
def an_id_is_beyond_the_head(history: History, chance: random.Random) -> bool:
    client = chance.choice(history.clients)
    client.connections[-1].seen.append(Seen(Got.ID, 10**6, client.connections[-1].at))
    return True


@breaks(Invariant.CLIENT_ORDER)
def a_good_cursor_is_reset(history: History, chance: random.Random) -> bool:
    _, connection, row = chance.choice(places(history))
    seen = connection.seen[row]
    connection.seen.insert(row + 1, Seen(Got.RESET, seen.seq, seen.at, said="reset"))
    return True


@breaks(Invariant.CLIENT_ORDER)
def a_frame_is_none_of_the_protocols(history: History, chance: random.Random) -> bool:
    _, connection, row = chance.choice(places(history))
    connection.seen.insert(row, Seen(Got.BROKEN, 0, connection.seen[row].at, said="b'x'"))
    return True


@breaks(Invariant.CLIENT_ORDER)
def a_filtered_client_gets_what_it_did_not_ask_for(history: History, chance: random.Random) -> bool:
    log = history.logs[0]
    client = next(c for c in history.clients if c.session == log.session and c.want.types)
    connection = client.connections[-1]
    connection.seen.clear()
    first = log.events[0]
    connection.cursor = 0
    client.connections[:] = [connection]
    connection.seen.append(Seen(Got.EVENT, 1, (first.at or 0) + 1, first.digest))
    client.stayed = False
    return True


@breaks(Invariant.CLIENT_ORDER)
def a_client_comes_back_beyond_its_last_id(history: History, chance: random.Random) -> bool:
    found = [client for client in history.clients if len(client.connections) > 1]
    if not found:
        return False
    client = chance.choice(found)
    furthest = max(connection.reached for connection in client.connections[:-1])
    client.connections[-1].cursor = furthest + 1
    return True


@breaks(Invariant.AGREEMENT)
def a_client_gets_other_bytes(history: History, chance: random.Random) -> bool:
    return change(
        chance, [(connection.seen, row) for _, connection, row in places(history)], digest=b"x" * 16
    )


@breaks(Invariant.ISOLATION)
def a_client_gets_an_event_of_another_session(history: History, chance: random.Random) -> bool:
    return change(
        chance, [(connection.seen, row) for _, connection, row in places(history)], session="other"
    )


@breaks(Invariant.DURABLE_BEFORE_VISIBLE)
def a_client_saw_what_the_log_has_not(history: History, chance: random.Random) -> bool:
    client = chance.choice([client for client in history.clients if client.want == Want()])
    last = client.connections[-1].seen[-1] if client.connections[-1].seen else None
    if last is None:
        return False
    client.connections[-1].seen.append(Seen(Got.EVENT, last.seq + 1, last.at, b"y" * 16))
    return True


@breaks(Invariant.DURABLE_BEFORE_VISIBLE)
def a_client_saw_an_event_before_its_append(history: History, chance: random.Random) -> bool:
    return change(chance, [(c.seen, row) for _, c, row in places(history)], at=0.0)


@breaks(Invariant.LIVENESS)
def a_client_waits_for_the_end(history: History, chance: random.Random) -> bool:
    found = [p for p in places(history, whole=True) if p[1] is p[0].connections[-1]]
    if not found:
        return False
    _, connection, row = chance.choice(found)
    del connection.seen[row:]
    return True


@breaks(Invariant.LIVENESS)
def a_client_that_stayed_never_got_a_connection(history: History, chance: random.Random) -> bool:
    chance.choice(history.clients).connections.clear()
    return True


@breaks(Invariant.LIVENESS)
def an_event_is_late(history: History, chance: random.Random) -> bool:
    return change(chance, [(c.seen, row) for _, c, row in places(history)], at=9e9)


# --- the log ---------------------------------------------------------------------------------------


@breaks(Invariant.DENSE_LOG)
def the_log_lacks_an_event(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history))
    del of[place]
    return True


@breaks(Invariant.DENSE_LOG)
def the_log_has_an_event_twice(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history))
    of.insert(place, of[place])
    return True


@breaks(Invariant.DENSE_LOG)
def an_event_says_another_seq(history: History, chance: random.Random) -> bool:
    return change(chance, rows(history), said_seq=0)


@breaks(Invariant.DENSE_LOG)
def the_log_is_shorter_than_its_head(history: History, chance: random.Random) -> bool:
    del chance.choice(history.logs).events[-1]
    return True


@breaks(Invariant.ISOLATION)
def the_log_has_an_event_of_another_session(history: History, chance: random.Random) -> bool:
    return change(chance, rows(history), session="other")


@breaks(Invariant.ONE_TERMINAL)
def a_run_ends_again(history: History, chance: random.Random) -> bool:
    return extend(history, chance, "run.failed")


@breaks(Invariant.ONE_TERMINAL)
def a_run_goes_on_after_its_end(history: History, chance: random.Random) -> bool:
    return extend(history, chance, "message.delta")


@breaks(Invariant.LIVENESS)
def a_run_never_ends(history: History, chance: random.Random) -> bool:
    ends = rows(history, "run.completed", "run.failed", "run.cancelled")
    return change(chance, ends, type="message.delta")


@breaks(Invariant.SINGLE_WRITER)
def an_epoch_goes_back(history: History, chance: random.Random) -> bool:
    return change(chance, [found for found in rows(history) if found[1] > 0], epoch=0)


@breaks(Invariant.SINGLE_WRITER)
def an_epoch_is_above_the_sessions(history: History, chance: random.Random) -> bool:
    return change(chance, rows(history), epoch=10**6)


@breaks(Invariant.STEP_ONCE)
def a_step_is_completed_twice(history: History, chance: random.Random) -> bool:
    # Every completed step is followed by a piece of text of its run.
    of, place = chance.choice(rows(history, "step.completed"))
    of[place + 1] = replace(of[place + 1], type="step.completed", step=of[place].step)
    return True


@breaks(Invariant.STEP_ONCE)
def a_step_was_never_begun(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history, "step.completed"))
    of[place] = replace(of[place], step="another")
    return True


@breaks(Invariant.STEP_ONCE)
def a_step_is_completed_by_another_owner(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history, "step.completed"))
    for later in range(place, len(of)):
        of[later] = replace(of[later], epoch=of[later].epoch + 1)
    return True


@breaks(Invariant.STEP_ONCE)
def a_key_is_recorded_twice(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history, "step.completed"))
    of[place + 1] = replace(of[place + 1], key=of[place].key)
    return True


@breaks(Invariant.STEP_ONCE)
def a_step_was_called_without_a_beginning(history: History, chance: random.Random) -> bool:
    call = chance.choice(history.calls)
    history.calls.append(replace(call, attempt=99))
    return True


@breaks(Invariant.STEP_ONCE)
def a_step_was_called_twice_in_an_attempt(history: History, chance: random.Random) -> bool:
    call: Call = chance.choice(history.calls)
    history.calls.append(call)
    return True


# --- writers, commands, rows, resources ------------------------------------------------------------


@breaks(Invariant.DURABILITY)
def a_confirmed_append_is_gone(history: History, chance: random.Random) -> bool:
    number = chance.randrange(len(history.logs))
    log = history.logs[number]
    last: Append = next(
        a for a in reversed(history.appends) if (a.session, a.seq) == (log.session, log.head)
    )
    del log.events[-1]
    history.logs[number] = replace(log, head=log.head - 1)
    return last.outcome is Outcome.OK


@breaks(Invariant.DURABILITY)
def a_confirmed_append_was_replaced(history: History, chance: random.Random) -> bool:
    found = [(history.appends, n) for n, a in enumerate(history.appends) if a.outcome == "ok"]
    return change(chance, found, digest=b"z" * 16)


@breaks(Invariant.DURABILITY)
def a_refused_append_is_in_the_log(history: History, chance: random.Random) -> bool:
    found = [(history.appends, n) for n, a in enumerate(history.appends) if a.outcome == "ok"]
    return change(chance, found, outcome=Outcome.FENCED)


@breaks(Invariant.DURABILITY)
def an_accepted_run_is_nowhere(history: History, chance: random.Random) -> bool:
    log = chance.choice(history.logs)
    history.asks.append(Ask(kind="start", session=log.session, run_id="nowhere", at=log.head))
    return True


@breaks(Invariant.COMMANDS)
def one_key_has_two_effects(history: History, chance: random.Random) -> bool:
    starts = [ask for ask in history.asks if ask.kind == "start"]
    first, second = chance.sample(starts, 2)
    history.asks.append(replace(first, run_id=second.run_id, session=second.session))
    return True


@breaks(Invariant.COMMANDS)
def an_accepted_cancel_is_never_settled(history: History, chance: random.Random) -> bool:
    ask = chance.choice([ask for ask in history.asks if ask.kind == "start"])
    asked = {a.run_id for a in history.asks if a.kind == "cancel"}
    history.asks.append(replace(ask, kind="cancel", key="another"))
    return ask.run_id not in asked


@breaks(Invariant.COMMANDS)
def a_command_is_settled_twice(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history, "command.accepted"))
    spare = [n for n, event in enumerate(of) if event.type == "message.delta"]
    if not spare:
        return False
    fields = {"type": "command.rejected", "command_id": of[place].command_id}
    return change(chance, [(of, n) for n in spare], **fields, command_kind="start")


@breaks(Invariant.COMMANDS)
def a_command_stays_open(history: History, chance: random.Random) -> bool:
    return change(
        chance, [(history.commands, n) for n in range(len(history.commands))], state="open"
    )


@breaks(Invariant.COMMANDS)
def a_settled_command_has_no_event(history: History, chance: random.Random) -> bool:
    started = [n for n, row in enumerate(history.commands) if row.kind == "start"]
    return change(chance, [(history.commands, n) for n in started], command_id="lost")


@breaks(Invariant.AGREEMENT)
def a_copy_has_a_hole(history: History, chance: random.Random) -> bool:
    events = chance.choice(history.copies).events
    del events[chance.randrange(1, len(events) - 1)]
    return True


@breaks(Invariant.AGREEMENT)
def a_copy_has_other_bytes(history: History, chance: random.Random) -> bool:
    events = chance.choice(history.copies).events
    place = chance.randrange(len(events))
    events[place] = (events[place][0], b"w" * 16)
    return True


@breaks(Invariant.AGREEMENT)
def a_window_has_what_the_log_has_not(history: History, chance: random.Random) -> bool:
    events = chance.choice(history.copies).events
    events.append((events[-1][0] + 1, b"v" * 16))
    return True


@breaks(Invariant.AGREEMENT)
def pages_end_too_early(history: History, chance: random.Random) -> bool:
    del chance.choice([copy for copy in history.copies if copy.whole]).events[-1]
    return True


@breaks(Invariant.ROW_AND_LOG)
def a_row_ends_otherwise_than_the_log(history: History, chance: random.Random) -> bool:
    found = [(history.runs, n) for n in range(len(history.runs))]
    return change(chance, found, status="running")


@breaks(Invariant.ROW_AND_LOG)
def a_row_ends_without_the_log(history: History, chance: random.Random) -> bool:
    ends = rows(history, "run.completed", "run.failed", "run.cancelled")
    return change(chance, ends, type="message.delta")


@breaks(Invariant.ROW_AND_LOG)
def a_row_counts_other_attempts(history: History, chance: random.Random) -> bool:
    return change(chance, [(history.runs, n) for n in range(len(history.runs))], attempts=77)


@breaks(Invariant.BOUNDED)
def descriptors_are_not_given_back(history: History, chance: random.Random) -> bool:
    history.measures.append(Measure(process="b", name="fds", before=20, after=38, most=37))
    return True
