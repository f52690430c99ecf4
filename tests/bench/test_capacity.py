"""The capacity model: what it says of the plainest loads, and that the page says what it says."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.capacity import MEASURED, Ceilings, Costs, Load, main, markdown, needed

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
SIZES = (1e4, 1e5, 1e6)


def test_the_page_has_the_models_own_table():
    """Costs are measured anew, and a page that is older than they are misleads."""
    table = markdown([Load(clients=clients) for clients in SIZES], Costs(), Ceilings())

    page = PAGE.read_text()
    assert table in page, (
        "put the output of `python -m bench.capacity --markdown` into docs/scaling.md"
    )
    assert MEASURED in page


def test_one_reader_of_each_session_is_heard_by_one_gateway():
    need = needed(Load(clients=1000, active=1.0, events_per_s=1.0), Costs(), Ceilings())

    assert (need.events, need.deliveries) == (1000, 1000)
    assert need.redis_cores == pytest.approx(1000 * (6.0 + 1.7) / 1e6)


def test_a_crowd_around_one_session_costs_writes_and_hardly_anything_else():
    """An event is made, committed and published once, however many read it."""
    crowd = Load(clients=100_000, clients_per_session=1000, active=1.0, events_per_s=1.0)
    alone = replace(crowd, clients=100, clients_per_session=1)

    of_crowd, of_alone = (needed(load, Costs(), Ceilings()) for load in (crowd, alone))

    assert of_crowd.deliveries == 1000 * of_alone.deliveries
    assert of_crowd.events == of_alone.events
    assert of_crowd.commits == of_alone.commits
    # With ten gateways, each hears of every session.
    assert of_crowd.redis_cores < 4 * of_alone.redis_cores


@pytest.mark.parametrize("clients", SIZES)
def test_nothing_gets_less_with_more_clients(clients: float):
    fewer, more = (needed(Load(clients=n), Costs(), Ceilings()) for n in (clients, 2 * clients))

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


def test_a_number_of_clients_that_is_none_is_said_in_a_sentence(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--clients", "many"])

    assert ended.value.code == 2
    assert "--clients is a number" in capsys.readouterr().err
