"""What the capacity model multiplies: told apart rightly, and kept with a meaning each."""

from dataclasses import asdict

import pytest

from bench.costs.kept import Costs, meanings
from bench.costs.writing import split


def test_a_commit_is_told_from_the_events_in_it():
    commit, event = 500.0, 40.0

    def took(events: float, commits: float) -> tuple[float, float, float]:
        return events, commits, commits * commit + events * event

    assert split(took(400, 350), took(100_000, 900)) == pytest.approx((commit, event))


def test_a_commit_that_would_take_less_than_nothing_is_no_measurement():
    with pytest.raises(ValueError, match="measure again"):
        split((100, 100, 10.0), (100, 1, 90.0))


def test_every_cost_was_measured_and_has_a_meaning():
    costs = asdict(Costs.measured())

    assert all(cost > 0 for cost in costs.values())
    assert all(meanings(Costs)[name] for name in costs)
