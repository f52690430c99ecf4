"""What a state says of steps, agents, calls, plans and tasks."""

import pytest

from holdfast.events import catalog as c
from holdfast.events.catalog import ErrorInfo, Event
from holdfast.events.fold import to_plain
from holdfast.events.recorded import Emission
from tests.events.samples import ERROR
from tests.events.states import at, only, state_of


def test_a_step_goes_from_running_over_retries_to_its_result() -> None:
    emissions = [
        at(c.StepStarted(name="talk"), step="talk#1", agent="Ann"),
        at(c.StepRetrying(name="talk", error=ERROR, delay_ms=1, next_try=2), step="talk#1"),
        at(c.StepCompleted(name="talk", duration_ms=4, result=1), step="talk#1", attempt=2),
        at(c.StepStarted(name="talk"), step="talk#1", attempt=2),
    ]
    stages = [only(state_of(*emissions[: n + 1]), "steps") for n in range(4)]

    assert [s["status"] for s in stages] == ["running", "retrying", "completed", "completed"]
    assert [bool(s["error"]) for s in stages] == [False, True, False, False]
    assert stages[2] == {
        "run_id": "r",
        "key": "talk#1",
        "name": "talk",
        "agent": "Ann",
        "lane": None,
        "status": "completed",
        "attempt": 2,
        "ts": "2026-11-21T09:00:01.123Z",
        "ended_ts": "2026-11-21T09:00:03.123Z",
        "result": 1,
        "error": None,
        "duration_ms": 4,
    }


def test_the_same_key_in_another_run_is_another_step_call_and_task() -> None:
    state = state_of(
        *(
            at(event, run=run, step="s")
            for run in ("r1", "r2")
            for event in (
                c.StepStarted(name="s"),
                c.ToolStarted(call_id="1", name="t"),
                c.LlmStarted(call_id="1"),
                c.TaskStarted(task_id="1"),
                c.AgentStarted(name="Ann"),
                c.ArtifactCreated(artifact_id="1", name="a"),
                c.PlanCreated(plan_id="1"),
            )
        )
    )

    for table in ("steps", "tools", "llm_calls", "tasks", "agents", "artifacts", "plans"):
        assert [e["run_id"] for e in to_plain(state)[table]] == ["r1", "r2"], table


def test_an_agent_shows_its_latest_turn_in_each_lane() -> None:
    state = state_of(
        at(c.AgentStarted(name="Ann", role="boss"), step="a#1"),
        at(c.AgentFailed(name="Ann", error=ERROR, duration_ms=1)),
        at(c.AgentStarted(name="Ann", role="boss"), step="a#2"),
        at(c.AgentStarted(name="Ann"), lane="left"),
        at(c.AgentCompleted(name="Ann", result=1, duration_ms=2), lane="left"),
    )
    first, second = to_plain(state)["agents"]

    assert (first["lane"], first["status"], first["step"]) == (None, "running", "a#2")
    assert first["error"] is None
    assert (second["lane"], second["status"], second["result"]) == ("left", "completed", 1)


def test_a_model_call_tells_its_model_usage_and_times() -> None:
    state = state_of(
        at(c.LlmStarted(call_id="l", model="small")),
        at(c.LlmDelta(call_id="l", text="a")),
        at(c.LlmDelta(call_id="l", text="b")),
        at(
            c.LlmCompleted(
                call_id="l",
                usage=c.Usage(output_tokens=2),
                time_to_first_token_ms=3,
                finish_reason="stop",
                duration_ms=9,
            )
        ),
        at(c.LlmDelta(call_id="l", text="late")),
    )

    call = only(state, "llm_calls")
    assert (call["model"], call["text"], call["status"]) == ("small", "ab", "completed")
    assert (call["usage"], call["time_to_first_token_ms"]) == ({"output_tokens": 2}, 3)
    assert call["finish_reason"] == "stop"


def test_a_model_that_is_called_again_after_a_failure_begins_its_text_anew() -> None:
    state = state_of(
        at(c.LlmDelta(call_id="l", text="half")),
        at(c.LlmFailed(call_id="l", error=ERROR, duration_ms=1)),
        at(c.LlmStarted(call_id="l")),
        at(c.LlmDelta(call_id="l", text="whole")),
    )

    assert only(state, "llm_calls")["text"] == "whole"


def test_a_tool_shows_its_progress_and_then_its_result() -> None:
    emissions = [
        at(c.ToolStarted(call_id="k", name="search", args={"q": 1})),
        at(c.ToolProgress(call_id="k", name="search", text="half", fraction=0.5)),
        at(c.ToolCompleted(call_id="k", name="search", result=[1], duration_ms=2)),
        at(c.ToolStarted(call_id="k", name="search")),
    ]
    halfway = only(state_of(*emissions[:2]), "tools")
    done = only(state_of(*emissions), "tools")

    assert halfway["progress"] == {"text": "half", "fraction": 0.5}
    assert (done["args"], done["result"], done["status"]) == ({"q": 1}, [1], "completed")
    assert done["content_type"] == "application/json"


@pytest.mark.parametrize(
    ("table", "failed", "again"),
    [
        (
            "tools",
            c.ToolFailed(call_id="1", name="t", error=ERROR, duration_ms=1),
            c.ToolStarted(call_id="1", name="t"),
        ),
        (
            "llm_calls",
            c.LlmFailed(call_id="1", error=ERROR, duration_ms=1),
            c.LlmStarted(call_id="1"),
        ),
        (
            "tasks",
            c.TaskFailed(task_id="1", error=ERROR, duration_ms=1),
            c.TaskStarted(task_id="1"),
        ),
        ("steps", c.StepFailed(name="s", error=ERROR, duration_ms=1), c.StepStarted(name="s")),
    ],
)
def test_what_failed_may_be_started_again(table: str, failed: Event, again: Event) -> None:
    first = only(state_of(at(failed)), table)
    second = only(state_of(at(failed), at(again)), table)
    closed = state_of(at(failed), at(again), at(c.RunCompleted(duration_ms=1)))

    assert first["status"] == "failed"
    assert ErrorInfo.model_validate(first["error"]) == ERROR
    assert (second["status"], second["error"]) == ("running", None)
    assert only(closed, table)["status"] == "cancelled"


def test_a_plan_lists_its_tasks_and_a_new_one_drops_those_that_nobody_began() -> None:
    def plan(*tasks: str) -> Emission:
        items = tuple(c.PlanItem(task_id=t, title=t.upper()) for t in tasks)
        return at(c.PlanCreated(plan_id="p", title="P", items=items))

    state = state_of(
        plan("a", "b", "c", "e"),
        at(c.TaskStarted(task_id="a")),
        at(c.TaskCompleted(task_id="a", result=1, duration_ms=1)),
        at(c.TaskStarted(task_id="b")),
        at(c.TaskStarted(task_id="x", title="unplanned")),
        plan("c", "d"),
        at(c.TaskCancelled(task_id="d", reason="late", duration_ms=1)),
    )

    assert [(t["task_id"], t["title"], t["status"]) for t in to_plain(state)["tasks"]] == [
        ("a", "A", "completed"),
        ("b", "B", "running"),
        ("c", "C", "pending"),
        ("x", "unplanned", "running"),
        ("d", "D", "cancelled"),
    ]
    assert [item["task_id"] for item in only(state, "plans")["items"]] == ["c", "d"]


def test_a_plan_that_failed_says_why() -> None:
    plan = only(state_of(at(c.PlanFailed(plan_id="p", error=ERROR))), "plans")

    assert (plan["status"], plan["error"]["code"]) == ("failed", "provider-busy")
