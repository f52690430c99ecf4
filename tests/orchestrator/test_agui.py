"""Whatever yields AG-UI events becomes a run: each turn is recorded once, each broken stream explained."""

import asyncio
import json
from typing import Any

import pytest
from ag_ui.core import RunAgentInput, TextMessageStartEvent

from holdfast.events.fold import fold
from holdfast.events.store import RunStatus
from holdfast.orchestrator.executors.agui import agui_workflow
from tests.orchestrator.agui_sources import Event, finished, interrupt, says, started, text
from tests.orchestrator.harness import World, check_log, data, of_type, told, types


async def _run(world: World, *events: Any, input: Any = "go", **options: Any) -> Any:
    """Run an agent that yields these events; return its run and its log."""
    await world.worker(agui_workflow("agent", says(list(events)), **options))
    ticket = await world.ask("agent", input)
    run = await world.reaches(ticket)
    log = await world.events(ticket.session)
    check_log(log)
    return run, log


async def test_a_message_is_shown_while_it_comes_and_is_the_runs_result(
    memory_world: World,
) -> None:
    run, log = await _run(memory_world, started(), *text("Hello, world"), finished())
    assert run.status is RunStatus.COMPLETED
    assert types(log)[3:] == [
        "step.started",
        "message.started",
        "message.delta",
        "message.delta",
        "message.completed",
        "step.completed",
        "run.completed",
    ]
    assert told(log) == [(None, "Hello, world")]
    assert data(log[-1])["result"] == "Hello, world"


async def test_models_dicts_texts_and_frames_are_all_read(memory_world: World) -> None:
    start, *rest = text("Hi")
    model = TextMessageStartEvent(message_id="m1", role="assistant")
    assert start["messageId"] == model.message_id
    frames = [f"data: {json.dumps(one)}\n\n" for one in rest]
    run, log = await _run(
        memory_world, json.dumps(started()), model, ": still there\n\n", *frames, finished()
    )
    assert run.status is RunStatus.COMPLETED
    assert told(log) == [(None, "Hi")]


async def test_chunks_are_written_out(memory_world: World) -> None:
    chunks: list[Event] = [
        {"type": "TEXT_MESSAGE_CHUNK", "messageId": "a", "delta": "one "},
        {"type": "TEXT_MESSAGE_CHUNK", "delta": "and"},
        {"type": "TEXT_MESSAGE_CHUNK", "messageId": "b", "delta": "two"},
        {"type": "TOOL_CALL_CHUNK", "toolCallId": "c", "toolCallName": "add", "delta": '{"x":'},
        {"type": "TOOL_CALL_CHUNK", "delta": "1}"},
        {"type": "REASONING_MESSAGE_CHUNK", "messageId": "d", "delta": "hm"},
    ]
    _, log = await _run(memory_world, started(), *chunks, finished())
    assert [content for _, content in told(log)] == ["one and", "two"]
    assert [data(e)["args"] for e in of_type(log, "tool.started")] == [{"x": 1}]
    assert [data(e)["content"] for e in of_type(log, "reasoning.completed")] == ["hm"]


async def test_a_tool_call_shows_its_arguments_as_they_come_and_its_result_as_data(
    memory_world: World,
) -> None:
    call = [
        {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "search"},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": '{"query": "' + "x" * 300},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": '"}'},
        {"type": "TOOL_CALL_END", "toolCallId": "c"},
        {"type": "TOOL_CALL_RESULT", "messageId": "m", "toolCallId": "c", "content": '["a page"]'},
    ]
    _, log = await _run(memory_world, started(), *call, *text("Done"), finished())
    tools = [e for e in log if e.type.startswith("tool.")]
    assert types(tools) == ["tool.progress", "tool.progress", "tool.started", "tool.completed"]
    assert {data(e)["name"] for e in tools} == {"search"}
    assert len({data(e)["call_id"] for e in tools}) == 1
    assert data(tools[1])["text"] == '{"query": "' + "x" * 300
    assert data(tools[2])["args"] == {"query": "x" * 300}
    assert data(tools[3])["result"] == ["a page"]
    assert tools[3].envelope["metadata"] == {"agui_id": "c"}


async def test_sub_agents_work_in_lanes_of_their_own_and_may_fail_alone(
    memory_world: World,
) -> None:
    events: list[Event] = [
        {"type": "SUBAGENT_STARTED", "subagentRunId": "1", "name": "Left", "description": "looks"},
        {"type": "SUBAGENT_STARTED", "subagentRunId": "2", "name": "Right"},
        *text("L", "m1", subagentRunId="1"),
        *text("R", "m2", subagentRunId="2"),
        {
            "type": "SUBAGENT_STARTED",
            "subagentRunId": "3",
            "name": "Right",
            "parentSubagentRunId": "2",
        },
        {"type": "SUBAGENT_ERROR", "subagentRunId": "3", "message": "no good", "code": "bad"},
        {"type": "SUBAGENT_FINISHED", "subagentRunId": "1", "result": {"found": 1}},
        {"type": "SUBAGENT_FINISHED", "subagentRunId": "2"},
    ]
    run, log = await _run(memory_world, started(), *events, finished())
    assert run.status is RunStatus.COMPLETED
    agents = fold(log).agents.all.values()
    assert [(a["name"], a["lane"], a["status"]) for a in agents] == [
        ("Left", "Left", "completed"),
        ("Right", "Right", "completed"),
        ("Right", "Right/Right", "failed"),
    ]
    assert told(log) == [("Left", "L"), ("Right", "R")]
    assert {m["lane"] for m in fold(log).messages.all.values()} == {"Left", "Right"}


async def test_state_is_shown_by_what_changed_and_repeated_states_are_not(
    memory_world: World,
) -> None:
    events: list[Event] = [
        {"type": "STATE_SNAPSHOT", "snapshot": {"a": 1, "b": {"c": [1]}}},
        {"type": "STATE_SNAPSHOT", "snapshot": {"a": 1, "b": {"c": [1]}}},
        {
            "type": "STATE_DELTA",
            "delta": [
                {"op": "add", "path": "/b/c/-", "value": 2},
                {"op": "remove", "path": "/a"},
            ],
        },
    ]
    _, log = await _run(memory_world, started(), *events, finished())
    told_state = of_type(log, "state.snapshot", "state.updated")
    assert types(told_state) == ["state.snapshot", "state.updated"]
    assert data(told_state[1])["changes"] == {"b": {"c": [1, 2]}, "a": None}
    assert fold(log).shared == {"b": {"c": [1, 2]}}


async def test_steps_activities_customs_and_unknown_types_are_kept_and_raw_ones_are_not(
    memory_world: World,
) -> None:
    events: list[Event] = [
        {"type": "STEP_STARTED", "stepName": "look"},
        {"type": "STEP_FINISHED", "stepName": "look"},
        {"type": "STEP_STARTED", "stepName": "look"},
        {"type": "STEP_FINISHED", "stepName": "look"},
        {
            "type": "ACTIVITY_SNAPSHOT",
            "messageId": "a",
            "activityType": "chart",
            "content": {"bars": [1]},
        },
        {
            "type": "ACTIVITY_DELTA",
            "messageId": "a",
            "activityType": "chart",
            "patch": [{"op": "replace", "path": "/bars/0", "value": 2}],
        },
        {"type": "CUSTOM", "name": "cart", "value": {"count": 1}},
        {"type": "RAW", "event": {"huge": True}},
        {"type": "WEATHER_CHANGED", "degrees": 3},
    ]
    _, log = await _run(memory_world, started(), *events, finished())
    steps = [s for s in fold(log).steps.all.values() if s["name"] == "look"]
    assert [(s["key"], s["status"]) for s in steps] == [
        ("turn#1/look#1", "completed"),
        ("turn#1/look#2", "completed"),
    ]
    [chart] = fold(log).components.all.values()
    assert (chart["component_type"], chart["content"]) == ("chart", {"bars": [2]})
    customs = [(data(e)["name"], data(e)["value"]) for e in of_type(log, "custom.agui")]
    assert customs == [("cart", {"count": 1}), ("WEATHER_CHANGED", {"degrees": 3})]


async def test_a_snapshot_of_messages_adds_what_was_not_streamed(memory_world: World) -> None:
    snapshot = {
        "type": "MESSAGES_SNAPSHOT",
        "messages": [
            {"id": "u", "role": "user", "content": "go"},
            {"id": "m1", "role": "assistant", "content": "Hello"},
            {"id": "m2", "role": "assistant", "content": "and more"},
        ],
    }
    _, log = await _run(memory_world, started(), *text("Hello"), snapshot, snapshot, finished())
    assert [content for _, content in told(log)] == ["Hello", "and more"]
    assert types(log).count("message.completed") == 2


async def test_tokens_that_were_paid_for_are_recorded(memory_world: World) -> None:
    usage = [{"model": "m", "inputTokens": 3, "outputTokens": 4}]
    _, log = await _run(memory_world, started(), finished(usage=usage, result={"n": 1}))
    [done] = of_type(log, "llm.completed")
    assert data(done)["usage"] == {"input_tokens": 3, "output_tokens": 4}
    assert data(log[-1])["result"] == {"n": 1}


async def test_an_agent_that_says_it_failed_fails_the_run_in_its_own_words(
    memory_world: World,
) -> None:
    error = {"type": "RUN_ERROR", "message": "the oven is cold", "code": "cold"}
    start = text("half")[:2]
    run, log = await _run(memory_world, started(), *start, error)
    assert run.status is RunStatus.FAILED
    own: dict[str, Any] = {"code": "cold", "message": "the oven is cold", "retryable": False}
    assert data(log[-2])["error"] == own
    ending = " (step 'turn' of workflow 'agent'); the agent said so: look there"
    assert data(log[-1])["error"] == own | {"message": own["message"] + ending}
    assert types(log)[-2:] == ["step.failed", "run.failed"]
    [message] = fold(log).messages.all.values()
    assert message["cut"]


_START, _CONTENT, _, _END = text("x")


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "ended without an event"),
        ([_START], "TEXT_MESSAGE_START before RUN_STARTED"),
        ([started()], "ended before RUN_FINISHED"),
        ([started(), started()], "a second RUN_STARTED"),
        ([started(), _CONTENT], "message 'm1', which is not open"),
        ([started(), _START, _START], "message 'm1', which was begun before"),
        ([started(), _START, finished()], "RUN_FINISHED while message 'm1' is open"),
        ([started(), finished(), _START], "TEXT_MESSAGE_START after the run's end"),
        ([started(), {"type": "STEP_FINISHED", "stepName": "s"}], "step 's', which is not open"),
        ([started(), {"type": "TEXT_MESSAGE_END"}], "messageId: Field required"),
        ([started(), {**_START, "subagentRunId": "?"}], "sub-agent '?', which has not begun"),
        ([started(), {"type": "TEXT_MESSAGE_CHUNK", "delta": "x"}], "nothing is open"),
        ([started(), "data: {oops\n\n"], "is no JSON"),
        ([started(), 7], "7 is no event"),
        (
            [
                started(),
                {
                    "type": "STATE_DELTA",
                    "delta": [{"op": "remove", "path": "/a"}],
                },
            ],
            "STATE_DELTA doesn't fit",
        ),
    ],
)
async def test_a_broken_stream_fails_the_run_with_a_sentence(
    memory_world: World, events: list[Any], words: str
) -> None:
    run, log = await _run(memory_world, *events)
    assert run.status is RunStatus.FAILED
    error = data(log[-1])["error"]
    assert error["code"] == "agent-stream-broken"
    assert words in error["message"]


async def test_an_agent_that_asks_is_answered_in_its_next_turn(memory_world: World) -> None:
    asked: list[RunAgentInput] = []
    schema = {"type": "object", "properties": {"approved": {"type": "boolean"}}}
    source = says(
        [started(), *text("Draft", "m1"), interrupt("i1", "Ship it?", responseSchema=schema)],
        [started(), *text("Shipped", "m2"), finished()],
        asked=asked,
    )
    await memory_world.worker(agui_workflow("agent", source))
    ticket = await memory_world.ask("agent", {"query": "go"})
    run = await memory_world.reaches(ticket, RunStatus.WAITING)
    [waits] = run.waiting.values()
    assert (waits["prompt"], waits["value_schema"]) == ("Ship it?", schema)
    await memory_world.released(ticket)
    await memory_world.answer(ticket, {"approved": True})
    await memory_world.reaches(ticket)
    log = await memory_world.events(ticket.session)
    check_log(log)
    assert [content for _, content in told(log)] == ["Draft", "Shipped"]
    assert len(asked) == 2
    assert [m.role for m in asked[1].messages] == ["user", "assistant"]
    [resume] = asked[1].resume or []
    assert (resume.interrupt_id, resume.status, resume.payload) == (
        "i1",
        "resolved",
        {"approved": True},
    )


async def test_a_question_that_expired_is_answered_as_cancelled(memory_world: World) -> None:
    asked: list[RunAgentInput] = []
    source = says(
        [started(), interrupt("i1", "Ship it?", expiresAt="2020-01-01T00:00:00Z")],
        [started(), *text("Too late"), finished()],
        asked=asked,
    )
    await memory_world.worker(agui_workflow("agent", source))
    ticket = await memory_world.ask("agent", "go")
    await memory_world.reaches(ticket)
    log = await memory_world.events(ticket.session)
    assert types(log).count("input.expired") == 1
    [resume] = asked[1].resume or []
    assert (resume.status, resume.payload) == ("cancelled", None)


async def test_a_tool_of_the_callers_side_is_asked_for_and_its_result_told(
    memory_world: World,
) -> None:
    asked: list[RunAgentInput] = []
    call = [
        {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "locate"},
        {"type": "TOOL_CALL_END", "toolCallId": "c"},
    ]
    source = says(
        [
            started(),
            *call,
            finished(outcome={"type": "success", "pendingToolCallIds": ["c"]}),
        ],
        [started(), *text("You are in Bern"), finished()],
        asked=asked,
    )
    await memory_world.worker(agui_workflow("agent", source))
    ticket = await memory_world.ask("agent", "where am I?")
    run = await memory_world.reaches(ticket, RunStatus.WAITING)
    assert [w["prompt"] for w in run.waiting.values()] == ["The result of locate?"]
    await memory_world.answer(ticket, {"city": "Bern"})
    await memory_world.reaches(ticket)
    log = await memory_world.events(ticket.session)
    [done] = of_type(log, "tool.completed")
    assert (data(done)["name"], data(done)["result"]) == ("locate", {"city": "Bern"})
    assert [m.role for m in asked[1].messages] == ["user", "assistant", "tool"]
    assert asked[1].messages[2].content == '{"city": "Bern"}'


async def test_cancelling_closes_the_source_at_once(memory_world: World) -> None:
    closed: list[bool] = []

    async def source(run: RunAgentInput) -> Any:
        try:
            yield started()
            for event in text("half")[:2]:
                yield event
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    await memory_world.worker(agui_workflow("agent", source))
    ticket = await memory_world.ask("agent", "go")
    await memory_world.has(ticket, "message.delta")
    await memory_world.cancel(ticket, "enough")
    run = await memory_world.reaches(ticket)
    assert run.status is RunStatus.CANCELLED
    assert closed == [True]
