"""A worker that is told to go hands its runs over: nobody waits for a lease, and the run is not blamed for it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.evidence import check_ledger, check_log, check_ticks
from tests.faults.rig import Rig, elapsed, now, other, rigged

pytestmark = [
    pytest.mark.fault,
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.redis,
]

# As shipped: whoever waits for it is seen by far.
LEASE_S = 15.0

# Stopping is milliseconds, the other one's poll 1.2 s at most; three times that is still far from the lease.
HANDED_OVER_S = 4.0

# More drains than takeovers are allowed: if one of them counted, the last would end the run as poison.
ATTEMPTS_MAX = 1
DRAINS = 3

STEPS, TICKS = 150, 400


@pytest.fixture(scope="module")
def rig(place: Path) -> Iterator[Rig]:
    with rigged(
        place / "drain", HOLDFAST_LEASE_S=str(LEASE_S), HOLDFAST_ATTEMPTS_MAX=str(ATTEMPTS_MAX)
    ) as rig:
        yield rig


def test_the_runs_of_a_worker_that_drains_go_on_elsewhere_at_once(rig: Rig, place: Path) -> None:
    path = place / "ledger"
    ledger = rig.stack.start("ledger", {"path": str(path), "steps": STEPS, "pause_ms": 100})
    ticker = rig.stack.start("ticker", {"events": TICKS, "interval_ms": 40})
    for run in (ledger, ticker):
        rig.reaches(run["session_id"], "run.started")

    for count in range(1, DRAINS + 1):
        rig.both_ready()
        worker = rig.owned(ledger["session_id"])
        sessions = [
            r["session_id"] for r in (ledger, ticker) if rig.owner(r["session_id"]) == worker
        ]
        resumed = {s: rig.types(s).count("run.resumed") for s in sessions}
        drained_at = now()
        rig.stack.kill(worker, signal.SIGTERM)
        for session in sessions:
            row = rig.reaches(session, "run.resumed", count=resumed[session] + 1)
            assert row.data["reason"] == "drain"
            assert elapsed(drained_at, row.recorded_at) <= HANDED_OVER_S
            assert rig.owner(session) == other(worker), f"drain {count}"

    for run in (ledger, ticker):
        assert rig.stack.ended(run["run_id"], within_s=60)["status"] == "completed"
        assert rig.strikes(run["run_id"]) == 0
        check_log(rig.log(run["session_id"]), run["run_id"])
    check_ticks(rig.log(ticker["session_id"]), TICKS)
    check_ledger(rig.log(ledger["session_id"]), ledger["run_id"], path, STEPS)
