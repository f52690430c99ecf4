"""The capacity model: what it says of the plainest loads, and that the page says what it says."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.capacity import Ceilings, Load, main, markdown, needed
from bench.costs.kept import Costs, measured_on

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
SIZES = (1e4, 1e5, 1e6)
COSTS = Costs.measured()


def test_the_page_has_the_models_own_table():
    """Costs are measured anew, and a page that is older than they are misleads."""
    table = markdown([Load(clients=clients) for clients in SIZES], COSTS, Ceilings())

    page = PAGE.read_text()
    assert table in page, (
        "put the output of `python -m bench.capacity --markdown` into docs/scaling.md"
    )
    assert measured_on() in page


def test_one_reader_of_each_session_is_heard_by_one_gateway():
    costs = replace(COSTS, redis_call_us=4.0, redis_event_us=2.0, redis_wake_us=1.7)
    need = needed(Load(clients=1000, active=1.0, events_per_s=1.0), costs, Ceilings())

    assert (need.events, need.deliveries) == (1000, 1000)
    trips = need.commits * costs.redis_trip_us
    assert need.redis_cores == pytest.approx((trips + 1000 * (4.0 + 2.0 + 1.7)) / 1e6)


def test_a_busy_worker_commits_more_at_once_and_needs_no_second_one():
    """What gathers during a commit goes with the next: on one worker, 5,000 events/s are not 5,000 commits/s."""
    costs = replace(COSTS, worker_commit_us=500.0, worker_event_us=40.0, commit_ms=1.0)
    slow, fast = (
        needed(Load(clients=200, active=1.0, events_per_s=rate), costs, Ceilings(busy=0.6))
        for rate in (2.0, 25.0)
    )

    assert (slow.workers, fast.workers) == (1, 1)
    assert slow.commits == pytest.approx(400)
    # What a core has left beside 5,000 events.
    assert fast.commits == pytest.approx((0.6e6 - 5_000 * 40) / 500)
    assert fast.worker_cores == pytest.approx(0.6)


def test_a_disk_that_is_slow_makes_commits_larger():
    load = Load(clients=200, active=1.0, events_per_s=2.0)

    slow = needed(load, replace(COSTS, commit_ms=20.0), Ceilings())

    assert slow.commits == pytest.approx(100)  # two under way at once


def test_workers_are_as_many_as_their_events_need():
    busy = Load(clients=1000, active=1.0, events_per_s=100.0)
    costs = replace(COSTS, worker_commit_us=400.0, worker_event_us=29.0)

    need = needed(busy, costs, Ceilings(busy=0.6, sessions_owned=1000))

    assert need.workers == 5  # 100,000 of 30 µs, of 0.6 of a core


def test_a_crowd_around_one_session_costs_writes_and_hardly_anything_else():
    """An event is made, committed and published once, however many read it."""
    crowd = Load(clients=100_000, clients_per_session=1000, active=1.0, events_per_s=1.0)
    alone = replace(crowd, clients=100, clients_per_session=1)

    of_crowd, of_alone = (needed(load, COSTS, Ceilings()) for load in (crowd, alone))

    assert of_crowd.deliveries == 1000 * of_alone.deliveries
    assert of_crowd.events == of_alone.events
    assert of_crowd.commits == of_alone.commits
    # With ten gateways, each hears of every session.
    assert of_crowd.redis_cores < 4 * of_alone.redis_cores


@pytest.mark.parametrize("clients", SIZES)
def test_nothing_gets_less_with_more_clients(clients: float):
    fewer, more = (needed(Load(clients=n), COSTS, Ceilings()) for n in (clients, 2 * clients))

    for name in type(fewer).__slots__:
        if name != "wave_seconds":
            assert getattr(fewer, name) <= getattr(more, name), name


def test_a_cost_of_ones_own_replaces_a_measured_one(capsys: pytest.CaptureFixture[str]):
    assert main(["--clients", "1e6", "--markdown", "--cost", "gateway_connect_us=60000"]) == 0

    said = capsys.readouterr().out
    assert "| gateway processes | 2,000 |" in said


def test_a_cost_that_there_is_none_of_is_told(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--cost", "gateway_speed=1"])

    assert "there is no 'gateway_speed'" in capsys.readouterr().err


def test_a_ceiling_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--ceiling", "busy=0"])

    assert ended.value.code == 2
    assert "busy is a number above 0" in capsys.readouterr().err


def test_a_number_of_clients_that_is_none_is_said_in_a_sentence(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--clients", "many"])

    assert ended.value.code == 2
    assert "--clients is a number" in capsys.readouterr().err
