"""A worker that is told to go hands its runs over: nobody waits for a lease, and the run is not blamed for it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.evidence import check_ledger, check_log, check_ticks
from tests.faults.rig import Rig, elapsed, now, other, rigged

pytestmark = [
    pytest.mark.alone,  # a promised bound is asserted: nothing else may use the cores
    pytest.mark.fault,
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.redis,
]

# As shipped: whoever waits for it is seen by far.
LEASE_S = 15.0

# Stopping is milliseconds, the other one's poll 1.2 s at most; three times that is still far from the lease.
HANDED_OVER_S = 4.0

# More drains than takeovers are allowed: if they counted, the second would end as poison a run that gets nowhere.
ATTEMPTS_MAX = 1
DRAINS = 2

# 12 s of work each: two drains of a second, and the start of a new worker between them.
STEPS, STEP_MS = 120, 100
TICKS, TICK_MS = 300, 40

# One step that is longer than from one drain to the next: it records nothing between them.
LONG_STEP_MS = 8000


@pytest.fixture(scope="module")
def rig(place: Path) -> Iterator[Rig]:
    with rigged(
        place / "drain", HOLDFAST_LEASE_S=str(LEASE_S), HOLDFAST_ATTEMPTS_MAX=str(ATTEMPTS_MAX)
    ) as rig:
        yield rig


def test_the_runs_of_a_worker_that_drains_go_on_elsewhere_at_once(rig: Rig, place: Path) -> None:
    path = place / "ledger"
    short = {"path": str(path), "steps": STEPS, "pause_ms": STEP_MS}
    long = {"path": str(path), "steps": 1, "pause_ms": LONG_STEP_MS}
    ledger, stuck = rig.stack.start("ledger", short), rig.stack.start("ledger", long)
    ticker = rig.stack.start("ticker", {"events": TICKS, "interval_ms": TICK_MS})
    runs = (ledger, stuck, ticker)
    for run in runs:
        rig.reaches(run["session_id"], "run.started")

    for _ in range(DRAINS):
        rig.both_ready()
        worker = rig.owned(stuck["session_id"])
        hit = [run for run in runs if rig.owner(run["session_id"]) == worker]
        before = {run["run_id"]: rig.types(run["session_id"]).count("run.resumed") for run in hit}
        drained_at = now()
        rig.stack.kill(worker, signal.SIGTERM)
        for run in hit:
            session = run["session_id"]
            row = rig.reaches(session, "run.resumed", count=before[run["run_id"]] + 1)
            assert row.data["reason"] == "drain"
            assert elapsed(drained_at, row.recorded_at) <= HANDED_OVER_S
            assert rig.owner(session) == other(worker)
            assert rig.strikes(run["run_id"]) == 0

    for run in runs:
        assert rig.stack.ended(run["run_id"], within_s=60)["status"] == "completed"
        check_log(rig.log(run["session_id"]), run["run_id"])
    check_ticks(rig.log(ticker["session_id"]), TICKS)
    check_ledger(rig.log(ledger["session_id"]), ledger["run_id"], path, STEPS)
    calls = check_ledger(rig.log(stuck["session_id"]), stuck["run_id"], path, 1)
    assert calls.total() == 1 + DRAINS
