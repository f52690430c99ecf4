"""What clients saw, broken in one place each."""

import random

from holdfast.verify import Got, History, Invariant, Seen, Want
from tests.verify.breaking import breaks, change, places


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
