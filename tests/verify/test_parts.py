"""The parts of `holdfast verify` that decide: what is allowed, what is cut out of a page, what numbers say."""

import pytest

from holdfast.cli.verify import seconds
from holdfast.verify import (
    Ask,
    Client,
    Connection,
    Ending,
    Got,
    History,
    LogEvent,
    Seen,
    SessionLog,
)
from holdfast.verify.gauges import compare
from holdfast.verify.numbers import Spread, numbers
from holdfast.verify.plan import Plan
from holdfast.verify.report import spread
from holdfast.verify.truth import items
from tests.client.scripted import body


def test_a_plan_is_bounded():
    def plan(**given: object) -> Plan:
        return Plan(**{"urls": ("http://a",), **given})  # type: ignore[arg-type]

    assert plan(clients=200).sessions == 20
    for given in (
        {"urls": ()},
        {"clients": 0},
        {"clients": 1001},
        {"duration_s": 0.5},
        {"duration_s": 4000},
        {"churn": -1},
        {"clients": 500, "churn": 1},
        {"redis_url": "redis://x"},
        {"workflow": "team"},
    ):
        with pytest.raises(ValueError, match=r"\w"):
            plan(**given)


def test_a_plan_does_not_show_its_passwords():
    plan = Plan(
        urls=("http://a",), database_url="postgresql://u:secret@h/d", redis_url="redis://:secret@h"
    )

    assert "secret" not in repr(plan)


@pytest.mark.parametrize(
    ("text", "expected"), [("30", 30), ("30s", 30), ("1.5m", 90), ("1h", 3600), ("500ms", 0.5)]
)
def test_a_duration_is_read(text: str, expected: float):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "x", "3 s", "-1s", "1d"])
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(ValueError, match="duration"):
        seconds(text)


def test_items_are_cut_out_of_a_page_byte_for_byte():
    odd = '{"seq":1, "x":"\\u0041],{\\"ü😀" ,"n":1.50}'.encode()
    page = b'{"items":[%b,%b],"next_after":2,"head":2,"min_seq":1}' % (odd, body(2))

    assert items(page) == [odd, body(2)]
    assert items(b'{"items":[],"next_after":0,"head":0,"min_seq":1}') == []


def test_numbers_count_what_happened():
    def saw(*seqs: int, cursor: int, ending: Ending, live: bool = False) -> Connection:
        seen = [Seen(Got.EVENT, n, 10.0 + n, live=live) for n in seqs]
        return Connection(gateway="a", cursor=cursor, at=0.0, seen=seen, ending=ending)

    ended = body(6, "run.completed")
    events = [LogEvent.of(body(n), at=9.0 + n) for n in range(1, 6)] + [LogEvent.of(ended, at=15.5)]
    client = Client(
        name="c",
        session="s",
        connections=[
            saw(1, 2, 2, cursor=0, ending=Ending.CUT),
            saw(3, 5, 6, cursor=2, ending=Ending.LOST, live=True),
        ],
    )
    asks = [Ask(kind="start", session="s", run_id="r1", at=10.0)] * 2

    n = numbers(
        History(logs=[SessionLog(session="s", events=events, head=6)], clients=[client], asks=asks),
        connects=[0.1, 0.2],
    )

    assert (n.delivered, n.gaps, n.duplicates) == (6, 1, 1)
    assert (n.connections, n.resumed, n.cuts, n.lost) == (2, 1, 1, 1)
    assert n.runs == 1
    assert n.latency == Spread(3, 1.0, 1.0, 1.0, 1.0)
    assert n.to_terminal.max == 5.5
    assert n.connect.max == 0.2


def test_a_spread_is_told_in_a_line():
    assert spread(Spread.of([])) == "nothing measured"
    assert spread(Spread.of([0.001, 2.0])).startswith("p50 2.00 s")
    assert spread(Spread.of([0.0015])) == "p50 1.5 ms, p95 1.5 ms, p99 1.5 ms, max 1.5 ms"


def test_a_gateway_that_was_started_in_between_has_no_before():
    before = {"a": {"process_start_time_seconds": 1, "holdfast_sse_connections": 5}}

    [same] = compare(before, before)
    started = {"a": {"process_start_time_seconds": 2, "holdfast_sse_connections": 9}}

    assert (same.after, same.most) == (5, 5)
    assert compare(before, started) == []
