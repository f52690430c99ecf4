"""The production code keeps every promise under thousands of schedules of faults, and a seed is always the same run."""

import os
import subprocess
import sys

import pytest

from tests.simulation.campaign import Campaign, run_campaign
from tests.simulation.regressions import REGRESSIONS
from tests.simulation.schedule import run_schedule

# Three and a half minutes of one core: some 25 schedules in a second of it.
SEEDS = 5_000


@pytest.mark.parametrize("seed", [3, 14, 60])
def test_the_same_seed_is_the_same_run(seed: int) -> None:
    first, second = run_schedule(seed, trace=True), run_schedule(seed, trace=True)

    assert first.trace == second.trace
    assert first.digest == second.digest


def test_another_process_with_other_hashes_runs_a_seed_the_same_way() -> None:
    here = run_schedule(14, trace=True).digest
    code = (
        "from tests.simulation.schedule import run_schedule as r; print(r(14, trace=True).digest)"
    )
    elsewhere = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hashes in ("1", "77")
    ]

    assert elsewhere == [here, here]


def test_other_seeds_are_other_runs() -> None:
    assert len({run_schedule(seed).digest for seed in range(5)}) == 5


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_once_failed_holds(seed: int) -> None:
    assert run_schedule(seed).violations == []


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_some_dozen_schedules_hold(first: int) -> None:
    broken = {
        seed: found for seed in range(first, first + 10) if (found := run_schedule(seed).violations)
    }

    assert broken == {}


@pytest.mark.alone  # it takes all cores
@pytest.mark.timeout(600)
def test_five_thousand_schedules_hold_and_nothing_that_matters_never_happened() -> None:
    campaign = run_campaign(Campaign(0, 0), SEEDS, jobs=os.cpu_count() or 1)

    assert [(one.seed, one.says) for one in campaign.broken] == []
    assert campaign.silent() == []
    assert campaign.schedules == SEEDS
