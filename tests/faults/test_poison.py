"""A run that kills whoever takes it up is given up after so many workers, and others go on meanwhile."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from tests.faults.evidence import check_ledger, check_log
from tests.faults.rig import Rig, rigged

pytestmark = [
    pytest.mark.fault,
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.redis,
]

# The shortest lease there is: each death costs one, and the new worker's start besides.
LEASE_S = 1.0

# The first try, and two takeovers; the third takeover gives it up.
ATTEMPTS_MAX = 2
CALLS = 1 + ATTEMPTS_MAX

# Before the second takeover in a row.
BACKOFF_S = 1.0

STEPS = 60


@pytest.fixture(scope="module")
def rig(place: Path) -> Iterator[Rig]:
    with rigged(
        place / "poison",
        HOLDFAST_LEASE_S=str(LEASE_S),
        HOLDFAST_ATTEMPTS_MAX=str(ATTEMPTS_MAX),
        HOLDFAST_RETRY_BACKOFF_S=str(BACKOFF_S),
    ) as rig:
        yield rig


def test_a_run_that_kills_its_workers_is_given_up_and_others_go_on(rig: Rig, place: Path) -> None:
    doom, path = place / "doom", place / "ledger"
    doomed = rig.stack.start("doomed", {"path": str(doom)})
    # It records steps all along, so that no death of its workers in its neighbour's cause counts against it.
    ledger = rig.stack.start("ledger", {"path": str(path), "steps": STEPS, "pause_ms": 50})

    ended = rig.stack.ended(doomed["run_id"], within_s=90)

    assert ended["status"] == "failed"
    log = rig.log(doomed["session_id"])
    check_log(log, doomed["run_id"])
    assert log[-1].data["error"]["code"] == "poison"
    calls = [orjson.loads(line) for line in doom.read_bytes().splitlines()]
    assert len(calls) == CALLS
    assert [call["attempt"] for call in calls] == list(range(1, CALLS + 1))
    assert len({call["pid"] for call in calls}) == CALLS
    # A lease at least between two deaths, less what the last renewal was old; then the backoff, too.
    pauses = [later["at"] - earlier["at"] for earlier, later in pairwise(calls)]
    assert all(pause >= LEASE_S * 2 / 3 for pause in pauses)
    assert pauses[1] >= BACKOFF_S + LEASE_S * 2 / 3
    assert rig.stack.ended(ledger["run_id"], within_s=60)["status"] == "completed"
    check_log(rig.log(ledger["session_id"]), ledger["run_id"])
    check_ledger(rig.log(ledger["session_id"]), ledger["run_id"], path, STEPS)
