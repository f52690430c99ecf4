"""A campaign finds what is broken, tells what never happened, and goes on where it was left."""

# pyright: reportPrivateUsage=false, reportAttributeAccessIssue=false

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.orchestrator.recorder import Recorder
from tests.code_at_work import UNKNOWN, commit
from tests.simulation import campaign as campaigns
from tests.simulation import mutant as mutants
from tests.simulation.__main__ import main
from tests.simulation.campaign import Campaign, run_campaign
from tests.simulation.counters import MUST_FIRE, silent
from tests.simulation.mutant import Mutant


@contextmanager
def guessing() -> Generator[None]:
    """A commit whose reply was lost is believed to be in the log."""
    before = Recorder._resolve

    async def resolve(self: Any, works: Any) -> list[Any]:
        for work in works:
            self._settle(work, 0.0)
        return []

    Recorder._resolve = resolve
    try:
        yield
    finally:
        Recorder._resolve = before


GUESSING = Mutant("guessing", "a lost reply is resolved, not guessed", guessing)


@pytest.fixture
def mutated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "mutants", lambda: {GUESSING.name: GUESSING})


@pytest.mark.usefixtures("mutated")
def test_a_recorder_that_guesses_is_found_out_with_a_witness() -> None:
    campaign = run_campaign(Campaign(0, 0), 400, mutant_name="guessing", stop_at_first=True)

    [first, *_] = campaign.broken
    assert any(says.startswith(("I", "S:")) for says in first.says)
    assert first.schedule
    assert campaign.next_seed <= 400


def test_what_never_happened_is_told_once_there_was_time_for_it() -> None:
    campaign = Campaign(0, 0, schedules=campaigns.SEEDS_FOR_ALL - 1)
    assert campaign.silent() == []

    campaign.schedules += 1

    assert campaign.silent() == list(MUST_FIRE)
    assert silent(dict.fromkeys(MUST_FIRE, 1)) == []


def test_a_campaign_goes_on_where_its_file_ends(tmp_path: Path) -> None:
    state = tmp_path / "campaign.json"

    first = main(["--seeds", "0:6", "--state", str(state)])
    second = main(["--seeds", "0:10", "--state", str(state)])

    assert (first, second) == (0, 0)
    assert Campaign.load(state).schedules == Campaign.load(state).next_seed == 10
    whole = run_campaign(Campaign(0, 0), 10)
    assert Campaign.load(state).counters == whole.counters
    assert Campaign.load(state).commits == {commit(): 10}


def test_of_an_older_file_nobody_knows_which_code_was_played(tmp_path: Path) -> None:
    state = tmp_path / "campaign.json"
    run_campaign(Campaign(0, 0), 2).save(state)
    older = json.loads(state.read_text())
    del older["commits"]
    state.write_text(json.dumps(older))

    assert Campaign.load(state).commits == {UNKNOWN: 2}


def test_a_time_budget_ends_a_campaign() -> None:
    assert run_campaign(Campaign(0, 0), 1_000_000, budget_s=0.0).schedules <= campaigns.CHUNK


@pytest.mark.usefixtures("mutated")
def test_a_violation_and_a_silent_counter_are_failures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(campaigns, "SEEDS_FOR_ALL", 1)

    assert main(["--seeds", "0:1"]) == 1
    assert "never happened" in capsys.readouterr().out
