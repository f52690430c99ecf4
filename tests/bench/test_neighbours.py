"""One run of forty burns a CPU: it is named, and nobody loses a lease over it. How late the others are is measured."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.neighbours.measure import Blockade, Outcome, blockades, culprit_of

ROOT = Path(__file__).parents[2]

RUNS, BURN_S = 40, 6

STACK = """  File "/app/loop.py", line 10, in run_forever
    self._run_once()
  File "/app/agents.py", line 42, in burn_cpu
    sum(range(10_000))
"""


@pytest.mark.e2e
@pytest.mark.fault
@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.timeout(240)
def test_a_run_that_burns_a_cpu_costs_its_neighbours_time_and_no_lease() -> None:
    """6 s are more than a lease of 5 s: nobody may take the neighbours over meanwhile."""
    command = [sys.executable, "-m", "bench.neighbours", "--json", "--modes", "process", "inline"]
    knobs = [("--runs", RUNS), ("--burn-s", BURN_S), ("--pause-s", 0.5), ("--lease-s", 5)]
    options = [str(word) for knob in knobs for word in knob]
    measured = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=220
    )
    assert measured.returncode == 0, measured.stderr[-2000:] + measured.stdout[-2000:]
    found: dict[str, dict[str, Any]] = {one["mode"]: one for one in json.loads(measured.stdout)}

    for one in found.values():
        assert (one["completed"], one["attempts_max"], one["leases_lost"]) == (RUNS, 1, 0)
    # Whoever stands in the loop is named, with the line; whoever is beside it is not in the way.
    culprits = {blockade["culprit"].split(" ")[0] for blockade in found["inline"]["blockades"]}
    assert "burn_cpu" in culprits
    assert "burn_cpu" in found["inline"]["blockades"][0]["stack"]
    assert not any("burn" in one["culprit"] for one in found["process"]["blockades"])


def test_the_watchdogs_lines_are_found_among_all_others() -> None:
    lines = [
        "orchestrator: not JSON",
        json.dumps({"event": "run.started"}),
        json.dumps({"event": "loop.blocked", "blocked_s": 1.0, "stack": STACK}),
        json.dumps({"event": "loop.went-on", "blocked_s": 5.9}),
    ]

    assert blockades("\n".join(lines)) == [Blockade(5.9, "burn_cpu (agents.py:42)", STACK)]
    assert culprit_of("") == "unknown"


def test_an_outcome_is_json() -> None:
    one = Outcome("inline", 2, 2, 1, 0, 1, 1.0, 2.0, 3.0, [Blockade(1.0, "f (a.py:1)", STACK)])

    assert json.loads(json.dumps(one.as_json()))["blockades"][0]["culprit"] == "f (a.py:1)"
