"""What a campaign has done adds up: over sittings, over processes, and says of which code it is."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.campaign.__main__ import main
from tests.campaign.engine import Played
from tests.campaign.judge import Verdict
from tests.campaign.registry import SCENARIOS
from tests.campaign.state import State
from tests.code_at_work import UNKNOWN, commit

SCENARIO = SCENARIOS["random-kills"]


def _played(seed: int, *, took_s: float, violations: int = 0) -> Played:
    verdict = Verdict(
        violations=[f"broken by {seed}"] * violations,
        samples={"takeover": [took_s]},
        runs=3,
        events=70,
        clients=2,
    )
    verdict.counts["takeover"] += 1
    return Played(SCENARIO.name, seed, 0, {"killed": 2}, verdict, seconds=1.5)


def _state(path: Path, *rounds: Played) -> State:
    state = State(path)
    for played in rounds:
        state.total(SCENARIO).add(played)
    state.save()
    return state


def test_the_states_of_processes_add_up_to_that_of_one_which_did_it_all(tmp_path: Path) -> None:
    first, second, third = (_played(n, took_s=n / 2, violations=n - 1) for n in (1, 2, 3))
    _state(tmp_path / "a.json", first)
    _state(tmp_path / "b.json", second, third)
    alone = _state(tmp_path / "alone.json", first, second, third)

    parts, whole = [str(tmp_path / name) for name in ("a.json", "b.json")], tmp_path / "whole.json"
    code = main(["--merge", *parts, "--state", str(whole)])

    assert code == 1, "violations of a part are the whole's"
    merged = State(whole)
    assert merged.total(SCENARIO).plain() == alone.total(SCENARIO).plain()
    assert merged.begun_at == State(tmp_path / "a.json").begun_at


def test_a_sum_is_never_written_over_a_campaign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "campaign.json"
    _state(kept, _played(1, took_s=1.0))
    before = kept.read_bytes()

    assert main(["--merge", str(kept), str(kept), "--state", str(kept)]) == 2
    assert "not there yet" in capsys.readouterr().err
    assert kept.read_bytes() == before


def test_every_unit_is_counted_under_the_code_that_played_it(tmp_path: Path) -> None:
    path = tmp_path / "campaign.json"
    _state(path, _played(1, took_s=1.0))
    older = json.loads(path.read_text())
    del older["totals"][SCENARIO.name]["commits"]
    path.write_text(json.dumps(older))

    state = _state(path, _played(2, took_s=1.0))

    assert state.total(SCENARIO).commits == Counter({UNKNOWN: 2}) + Counter({commit(): 2})
    assert sum(state.total(SCENARIO).commits.values()) == state.total(SCENARIO).units
