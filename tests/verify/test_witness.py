"""A violation shows the least that a person needs: what, where, the rows around it from every log, how to repeat it."""

from dataclasses import replace

from holdfast.verify import (
    Client,
    Connection,
    Ending,
    Fault,
    Got,
    History,
    Invariant,
    LogEvent,
    Seen,
    SessionLog,
    check,
    digest_of,
)
from holdfast.verify.checker import SHOWN_MAX

BEGUN = 1_800_000_000.0


def body(seq: int) -> bytes:
    return (
        b'{"v":1,"seq":%d,"type":"message.delta","session_id":"s","run_id":"r","ts":"%b","data":{}}'
        % (
            seq,
            b"2027-01-15T08:00:00.000Z",
        )
    )


def log(head: int) -> SessionLog:
    events = [LogEvent.of(body(n), at=BEGUN + n / 100, epoch=1) for n in range(1, head + 1)]
    return SessionLog(session="s", events=events, head=head)


def saw(*seqs: int, cursor: int = 0, ending: Ending = Ending.END) -> Connection:
    seen = [Seen(Got.EVENT, n, BEGUN + n / 100 + 0.002, digest_of(body(n))) for n in seqs]
    return Connection(gateway="http://a", cursor=cursor, at=BEGUN, seen=seen, ending=ending)


GOLDEN = """\
I3 client order: event 5 came after id 3, 1 wanted between them never did, in session s at seq 4
  +0.000 is 08:00:00.000
      +0.000  c1#1       0  asks http://a for what follows
      +0.000  c1#2       2  asks http://a for what follows
      +0.010  log        1  message.delta r epoch 1 6f4c508c
      +0.012  c1#1       1  event 6f4c508c
      +0.020  log        2  message.delta r epoch 1 50f327b9
      +0.022  c1#1       2  event 50f327b9
      +0.022  c1#1          ends: cut
      +0.030  log        3  message.delta r epoch 1 bf31ce46
      +0.032  c1#2       3  event bf31ce46
>     +0.040  log        4  message.delta r epoch 1 26af0f49
      +0.050  log        5  message.delta r epoch 1 68f303ff
>     +0.052  c1#2       5  event 68f303ff
      +0.060  log        6  message.delta r epoch 1 0fa1b48b
      +0.062  c1#2       6  event 0fa1b48b
      +0.062  c1#2          ends: end
  seed 7
  08:00:00.035 kill -9 gateway-1
"""


def test_a_gap_is_shown_with_the_rows_around_it_from_every_log():
    client = Client(
        name="c1",
        session="s",
        connections=[saw(1, 2, ending=Ending.CUT), saw(3, 5, 6, cursor=2)],
    )
    schedule = [Fault(BEGUN + 0.035, "kill -9 gateway-1")]

    [found] = check(History(logs=[log(6)], clients=[client], seed=7, schedule=schedule))

    assert found.text() + "\n" == GOLDEN
    assert (found.invariant, found.session, found.seq) == (Invariant.CLIENT_ORDER, "s", 4)


def test_a_witness_stays_small_however_much_there_was():
    clients = [
        Client(name=f"c{n}", session="s", connections=[saw(*range(1, 500), *range(501, 1001))])
        for n in range(50)
    ]

    [first, *_, last] = check(History(logs=[log(1000)], clients=clients))

    assert len(first.text().splitlines()) < 60
    assert first.seq == last.seq == 500
    assert last.more == 50 - SHOWN_MAX
    assert last.text().splitlines()[-1] == f"  and {last.more} more of I3"


def test_other_clients_show_whether_one_was_told_so_or_all():
    good = Client(name="good", session="s", connections=[saw(1, 2, 3)])
    bad = Client(name="bad", session="s", connections=[saw(1, 2, 3)])
    seen = bad.connections[0].seen
    seen[1] = replace(seen[1], digest=b"x" * 16)

    [found] = check(History(logs=[log(3)], clients=[good, bad]))

    assert found.invariant is Invariant.AGREEMENT
    told = {line.log: line.what for line in found.witness if line.seq == 2}
    assert told["good"].removeprefix("event ") in told["log"]
    assert told["bad#1"] == "event 78787878"


def test_a_program_gets_the_same_as_a_person():
    client = Client(name="c1", session="s", connections=[saw(1, 3)])

    [found] = check(History(logs=[log(3)], clients=[client], seed=7))
    plain = found.plain()

    assert plain["invariant"] == "I3"
    assert plain["seq"] == 2
    assert plain["seed"] == 7
    assert [line["bad"] for line in plain["witness"]].count(True) == 2, (
        "in the log and at the client"
    )
