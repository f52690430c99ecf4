"""A run that waits needs nobody: it holds no worker, and it outlives all of them, the servers included."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stack import eventually
from tests.faults.evidence import check_log
from tests.faults.rig import Rig, elapsed, now, rigged

pytestmark = [
    pytest.mark.fault,
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.redis,
]

# The first life of the stack ends within this: what is due later can only be done by the second.
DUE_IN_S = 12.0

# A poll of 1.2 s, a claim of a few ms and the rest for a machine with other things to do.
ON_TIME_S = 3.0


class Waited:
    """What was begun in the first life of the stack and is looked at in the second."""

    def __init__(self) -> None:
        self.answered: dict[str, Any] = {}
        self.unanswered: dict[str, Any] = {}
        self.scheduled: dict[str, Any] = {}
        self.owners: list[str | None] = []
        self.due_at = 0.0
        self.stopped_at = 0.0


@pytest.fixture(scope="module")
def waited() -> Waited:
    return Waited()


@pytest.fixture(scope="module")
def rig(place: Path, waited: Waited) -> Iterator[Rig]:
    """The second life of a stack whose first one was ended, all of it, while three runs waited."""
    with rigged(place / "waiting") as rig:
        waited.answered = rig.stack.start("ask", {})
        waited.due_at = now() + DUE_IN_S
        waited.unanswered = rig.stack.start("ask", {"timeout_s": DUE_IN_S})
        start_at = datetime.fromtimestamp(waited.due_at, UTC)
        answer = rig.post(
            "/v1/runs",
            {
                "workflow": "ticker",
                "input": {"events": 3, "interval_ms": 1},
                "start_at": start_at.isoformat(),
            },
        )
        assert answer.status_code == 202, answer.text
        waited.scheduled = answer.json()
        for run in (waited.answered, waited.unanswered):
            rig.reaches(run["session_id"], "input.requested")
        rig.reaches(waited.scheduled["session_id"], "command.accepted")
        for run in (waited.answered, waited.unanswered, waited.scheduled):
            session = run["session_id"]
            eventually(f"{session} is given back", lambda s=session: rig.owner(s) is None)
    waited.stopped_at = now()
    with rigged(place / "waiting") as rig:
        yield rig


def _input(rig: Rig, run: dict[str, Any]) -> str:
    """Return the id of the question that a run asks."""
    (asked,) = (row for row in rig.log(run["session_id"]) if row.type == "input.requested")
    return asked.data["input_id"]


def test_an_answer_that_comes_after_a_restart_of_everything_lets_the_run_go_on(
    rig: Rig, waited: Waited
) -> None:
    run = waited.answered
    path, body = f"/v1/runs/{run['run_id']}/input", {"input_id": _input(rig, run), "value": 42}
    # Nobody claimed it meanwhile: waiting without a deadline it is never due.
    assert rig.owner(run["session_id"]) is None
    assert rig.stack.get(f"/v1/runs/{run['run_id']}")["status"] == "waiting"

    first = rig.post(path, body)
    ended = rig.stack.ended(run["run_id"])
    second = rig.post(path, body | {"value": 43})

    assert (first.status_code, second.status_code) == (202, 409)
    assert ended["status"] == "completed"
    log = rig.log(run["session_id"])
    check_log(log, run["run_id"])
    assert log[-1].data["result"] == {"number": 42}
    assert [row.type for row in log].count("input.requested") == 1
    assert [row.data["reason"] for row in log if row.type == "run.resumed"] == ["input"]
    assert rig.strikes(run["run_id"]) == 0


def test_of_two_answers_given_before_the_run_can_go_on_the_second_is_refused(rig: Rig) -> None:
    """The conflict is seen at the door, by the answer that was asked for first and not by its result."""
    run = rig.stack.start("ask", {})
    rig.reaches(run["session_id"], "input.requested")
    path, input_id = f"/v1/runs/{run['run_id']}/input", _input(rig, run)

    answers = [rig.post(path, {"input_id": input_id, "value": value}) for value in (1, 2)]

    assert [answer.status_code for answer in answers] == [202, 409]
    assert rig.stack.ended(run["run_id"])["status"] == "completed"
    assert rig.log(run["session_id"])[-1].data["result"] == {"number": 1}


def test_a_deadline_is_kept_over_a_restart(rig: Rig, waited: Waited) -> None:
    run = waited.unanswered
    expired = rig.reaches(run["session_id"], "input.expired", within_s=DUE_IN_S + ON_TIME_S)

    assert rig.stack.ended(run["run_id"])["status"] == "completed"
    late = rig.post(f"/v1/runs/{run['run_id']}/input", {"input_id": _input(rig, run), "value": 1})
    log = rig.log(run["session_id"])
    check_log(log, run["run_id"])
    assert log[-1].data["result"] == {"number": None}
    assert late.status_code == 409
    # Never before its time; after it within a poll, or as soon as there was a worker again.
    assert waited.stopped_at < waited.due_at, "the first life took too long to prove anything"
    assert elapsed(waited.due_at, expired.recorded_at) >= 0


def test_a_scheduled_start_is_kept_over_a_restart(rig: Rig, waited: Waited) -> None:
    run = waited.scheduled
    started = rig.reaches(run["session_id"], "run.started", within_s=DUE_IN_S + ON_TIME_S)

    assert rig.stack.ended(run["run_id"])["status"] == "completed"
    check_log(rig.log(run["session_id"]), run["run_id"])
    assert elapsed(waited.due_at, started.recorded_at) >= 0


def test_a_deadline_and_a_scheduled_start_come_on_time(rig: Rig) -> None:
    due_at = now() + 2
    asked = rig.stack.start("ask", {"timeout_s": 2})
    start_at = datetime.fromtimestamp(due_at, UTC)
    scheduled = rig.post(
        "/v1/runs", {"workflow": "ticker", "input": {"events": 1}, "start_at": start_at.isoformat()}
    ).json()

    expired = rig.reaches(asked["session_id"], "input.expired")
    started = rig.reaches(scheduled["session_id"], "run.started")

    # The question was asked after `due_at` was computed, so its deadline is no earlier.
    assert 0 <= elapsed(due_at, expired.recorded_at) <= ON_TIME_S
    assert 0 <= elapsed(due_at, started.recorded_at) <= ON_TIME_S
