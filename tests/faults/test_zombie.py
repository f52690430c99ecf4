"""A worker that stood still past its lease comes back and finds that it owns nothing: what it still had to say is
refused, in the log and in LangGraph's checkpoints, and it goes on to serve new work.
"""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.stack import eventually
from tests.faults.evidence import check_log
from tests.faults.rig import LEASE_S, Rig, other, rigged

pytestmark = [
    pytest.mark.fault,
    pytest.mark.long,
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.redis,
]

# The team says some 100 things; slow enough to be stopped in the middle: 6 answers of 100 tokens, 3 s in all.
TOKEN_DELAY_S = "0.005"


@pytest.fixture(scope="module")
def rig(place: Path) -> Iterator[Rig]:
    with rigged(place / "zombie", HOLDFAST_LLM_OFFLINE_TOKEN_DELAY_S=TOKEN_DELAY_S) as rig:
        yield rig


def _stopped(rig: Rig, session: str) -> str:
    """Stop the session's owner where it stands, and wait until the session has another one."""
    worker = rig.owned(session)
    rig.stack.kill(worker, signal.SIGSTOP)
    try:
        # A takeover writes at once, so that its epoch is in the log before the old owner wakes up.
        rig.reaches(session, "run.resumed", within_s=LEASE_S + 10)
    except BaseException:
        rig.stack.kill(worker, signal.SIGCONT)
        raise
    assert rig.owner(session) in (other(worker), None)
    return worker


def _noticed(rig: Rig, worker: str, session: str) -> bool:
    """Tell whether a worker knows that it lost the session: by a refused append, or by its lease if that was first."""
    said = [line for line in rig.said(worker).splitlines() if session in line]
    if any("append.fenced" in line for line in said):
        assert rig.metric(worker, "holdfast_append_refused_total") >= 1
        return True
    return any("lease.lost" in line for line in said)


def _checkpoints(rig: Rig, session: str) -> list[tuple[Any, ...]]:
    """Return everything that LangGraph keeps of a session."""
    thread = rig.rows("select id || '/team' from sessions where session_id = %s", session)[0][0]
    return [
        *rig.rows(
            "select checkpoint_id, parent_checkpoint_id from langgraph.checkpoints"
            " where thread_id = %s order by 1",
            thread,
        ),
        *rig.rows(
            "select checkpoint_id, task_id, idx, channel, blob from langgraph.checkpoint_writes"
            " where thread_id = %s order by 1, 2, 3",
            thread,
        ),
    ]


def test_a_worker_that_wakes_up_in_the_middle_of_its_successors_run_adds_nothing_to_it(
    rig: Rig,
) -> None:
    rig.both_ready()
    run = rig.stack.start("team", {"requirement": "a URL shortener"})
    session = run["session_id"]
    rig.reaches(session, "message.delta", count=10)
    before = rig.log(session)[-1].epoch

    worker = _stopped(rig, session)
    rig.stack.kill(worker, signal.SIGCONT)

    eventually(f"{worker} notices", lambda: _noticed(rig, worker, session))
    assert rig.stack.ended(run["run_id"])["status"] == "completed"
    log = rig.log(session)
    check_log(log, run["run_id"])
    # The takeover's first event ends what the old owner wrote: its epoch never comes again.
    resumed = next(row.seq for row in log if row.type == "run.resumed")
    assert all((row.epoch <= before) == (row.seq < resumed) for row in log)
    assert all(row.envelope.get("attempt", 2) == 2 for row in log if row.seq >= resumed)


def test_a_checkpoint_of_a_worker_that_lost_its_session_is_refused(rig: Rig) -> None:
    """The run has ended elsewhere when it wakes up: all that is kept must still be its successor's."""
    rig.both_ready()
    run = rig.stack.start("team", {"requirement": "a URL shortener"})
    session = run["session_id"]
    rig.reaches(session, "message.delta", count=10)

    worker = _stopped(rig, session)
    try:
        assert rig.stack.ended(run["run_id"])["status"] == "completed"
        kept, log = _checkpoints(rig, session), rig.log(session)
    finally:
        rig.stack.kill(worker, signal.SIGCONT)
    eventually(f"{worker} notices", lambda: _noticed(rig, worker, session))
    # It gives the session up when its attempt has stopped: then there is nobody left who could write.
    eventually(f"{worker} owns nothing", lambda: rig.metric(worker, "holdfast_sessions_owned") == 0)

    assert kept
    assert _checkpoints(rig, session) == kept
    assert [row.seq for row in rig.log(session)] == [row.seq for row in log]


def test_a_worker_that_lost_its_sessions_serves_new_work(rig: Rig) -> None:
    """With the other one stopped, only the one that woke up can have done it."""
    rig.both_ready()
    run = rig.stack.start("ticker", {"events": 200, "interval_ms": 20})
    rig.reaches(run["session_id"], "message.delta", count=5)
    worker = _stopped(rig, run["session_id"])
    rig.stack.kill(worker, signal.SIGCONT)
    eventually(f"{worker} notices", lambda: _noticed(rig, worker, run["session_id"]))
    rig.stack.ended(run["run_id"])

    rig.stack.kill(other(worker), signal.SIGSTOP)
    try:
        fresh = rig.stack.start("ticker", {"events": 5, "interval_ms": 1})
        ended = rig.stack.ended(fresh["run_id"])
    finally:
        rig.stack.kill(other(worker), signal.SIGCONT)

    assert ended["status"] == "completed"
    check_log(rig.log(fresh["session_id"]), fresh["run_id"])
    address = rig.stack.processes()[worker]["address"]
    assert httpx2.get(f"http://{address}/readyz", timeout=5).status_code == 200
