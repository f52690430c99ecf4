"""What a state says of a session and its runs."""

import pytest

from holdfast.events import catalog as c
from holdfast.events.fold import State, to_plain
from holdfast.events.recorded import NOWHERE, Emission
from tests.events.samples import ERROR
from tests.events.states import at, only, state_of

STARTED = at(c.RunStarted(workflow="team", workflow_version="2"))
COMPLETED = at(c.RunCompleted(result=7, duration_ms=5))
ASKED = at(c.InputRequested(input_id="i", prompt="?"))
RETRYING = at(c.RunRetrying(error=ERROR, delay_ms=1, next_attempt=2))


def test_a_session_is_what_it_was_created_with() -> None:
    state = state_of(Emission(c.SessionCreated(metadata={"a": 1}, ttl_s=60), NOWHERE))

    assert state.seq == 1
    assert state.session == {
        "session_id": "s",
        "status": "active",
        "metadata": {"a": 1},
        "ttl_s": 60,
        "created_ts": "2026-11-21T09:00:01.123Z",
    }


def test_an_expired_session_still_shows_what_it_showed() -> None:
    state = state_of(STARTED, Emission(c.SessionExpired(), NOWHERE))

    assert state.session["status"] == "expired"
    assert only(state, "runs")["workflow"] == "team"


def test_of_an_erased_session_nothing_is_left_but_its_id() -> None:
    state = state_of(
        Emission(c.SessionCreated(metadata={"secret": 1}), NOWHERE),
        STARTED,
        at(c.MessageCompleted(message_id="m", content="secret", duration_ms=1)),
        at(c.StateUpdated(changes={"secret": 1})),
        at(c.NotificationSent(text="secret")),
        Emission(c.SessionErased(erased_through=5), NOWHERE),
    )

    expected = to_plain(State(seq=6))
    expected["session"] |= {"session_id": "s", "status": "erased"}
    assert to_plain(state) == expected


@pytest.mark.parametrize(
    ("emissions", "status"),
    [
        ([at(c.CommandAccepted(command_id="c", kind="start"))], "queued"),
        ([at(c.CommandAccepted(command_id="c", kind="start")), STARTED], "running"),
        ([STARTED], "running"),
        ([STARTED, ASKED], "waiting"),
        ([STARTED, ASKED, at(c.InputReceived(input_id="i", duration_ms=1))], "running"),
        (
            [
                STARTED,
                ASKED,
                at(c.InputRequested(input_id="j", prompt="?")),
                at(c.InputExpired(input_id="i", duration_ms=1)),
            ],
            "waiting",
        ),
        ([STARTED, RETRYING], "waiting"),
        ([STARTED, RETRYING, at(c.RunResumed(reason="retry"))], "running"),
        ([STARTED, COMPLETED], "completed"),
        ([STARTED, at(c.RunFailed(error=ERROR, duration_ms=1))], "failed"),
        ([STARTED, at(c.RunCancelled(duration_ms=1))], "cancelled"),
        ([STARTED, COMPLETED, at(c.RunResumed(reason="takeover"))], "completed"),
        ([STARTED, COMPLETED, ASKED], "completed"),
        ([STARTED, COMPLETED, at(c.RunFailed(error=ERROR, duration_ms=1))], "completed"),
    ],
)
def test_a_run_stands_where_its_events_left_it(emissions, status) -> None:
    assert only(state_of(*emissions), "runs")["status"] == status


def test_why_a_run_is_tried_again_is_shown_until_it_goes_on() -> None:
    waiting = state_of(STARTED, RETRYING)
    going_on = state_of(STARTED, RETRYING, at(c.RunResumed(reason="retry"), attempt=2))

    assert only(waiting, "runs")["error"]["code"] == "provider-busy"
    assert only(going_on, "runs")["error"] is None
    assert only(going_on, "runs")["attempt"] == 2


def test_a_command_that_starts_nothing_shows_no_run() -> None:
    assert not state_of(at(c.CommandAccepted(command_id="c", kind="cancel"))).runs.all


def test_a_run_tells_its_workflow_attempt_result_and_times() -> None:
    state = state_of(
        at(c.RunStarted(workflow="team", workflow_version="2"), parent_run_id="p"),
        at(c.RunResumed(reason="takeover"), attempt=3),
        at(c.StageChanged(to="design")),
        at(c.ProgressUpdated(fraction=0.5, label="half")),
        at(c.RunCompleted(result={"x": 1}, duration_ms=5, usage=c.Usage(total_tokens=9))),
    )

    assert only(state, "runs") == {
        "run_id": "r",
        "parent_run_id": "p",
        "workflow": "team",
        "workflow_version": "2",
        "status": "completed",
        "attempt": 3,
        "ts": "2026-11-21T09:00:01.123Z",
        "started_ts": "2026-11-21T09:00:01.123Z",
        "ended_ts": "2026-11-21T09:00:05.123Z",
        "result": {"x": 1},
        "error": None,
        "reason": None,
        "stage": "design",
        "progress": {"fraction": 0.5, "label": "half"},
        "usage": {"total_tokens": 9},
        "duration_ms": 5,
    }


def test_the_session_s_stage_and_progress_are_those_of_its_latest_root_run() -> None:
    before = [at(c.StageChanged(from_="a", to="b")), at(c.ProgressUpdated(fraction=1.0))]
    next_run = c.RunStarted(workflow="w", workflow_version="1")
    shown = state_of(*before)
    child = state_of(*before, at(next_run, run="k", parent_run_id="r"))
    root = state_of(*before, at(next_run, run="k"))

    assert shown.stage == child.stage == {"run_id": "r", "from": "a", "to": "b"}
    assert shown.progress == child.progress == {"run_id": "r", "fraction": 1.0, "label": None}
    assert root.stage is root.progress is None
