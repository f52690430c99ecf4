"""What a session did, as spans in the log."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import structlog

from holdfast.events.catalog import (
    ErrorInfo,
    Event,
    LlmCompleted,
    LlmStarted,
    RunCompleted,
    RunFailed,
    RunStarted,
    SessionCreated,
    SessionErased,
    StepCompleted,
    StepStarted,
    ToolFailed,
    ToolStarted,
)
from holdfast.events.recorded import Context, RecordedEvent
from holdfast.subscribe.delivery import Delivery
from holdfast.subscribe.handlers import Traces
from holdfast.subscribe.handlers.traces import OPEN_SPANS_MAX
from tests.factories import NOON, make_row

ROOT = Context(run_id="r1", trace_id="a" * 32)
STEP = Context(run_id="r1", trace_id="a" * 32, step="work#1")
INNER = Context(run_id="r1", trace_id="a" * 32, step="work#1/llm#1")
KID = Context(run_id="r2", parent_run_id="r1")
RUN = RunStarted(workflow="team", workflow_version="1", input=None)
WORK = StepStarted(name="work")
CALL = ToolStarted(call_id="c1", name="search")
BAD = ToolFailed(
    call_id="c1", name="search", error=ErrorInfo(code="late", message="too late"), duration_ms=900
)

Told = tuple[Event, Context]
Line = dict[str, Any]

STORY: list[Told] = [
    (SessionCreated(), Context()),
    (RUN, ROOT),
    (WORK, STEP),
    (LlmStarted(call_id="l1", model="m"), INNER),
    (LlmCompleted(call_id="l1", duration_ms=7), INNER),
    (CALL, STEP),
    (BAD, STEP),
    (StepCompleted(name="work", duration_ms=3), STEP),
    (RUN, KID),
    (RunCompleted(duration_ms=1), KID),
    (RunCompleted(duration_ms=1), ROOT),
]


async def traced(traces: Traces, story: Sequence[Told], *, first: int = 1) -> list[Line]:
    with structlog.testing.capture_logs() as lines:
        for seq, (event, context) in enumerate(story, first):
            row = make_row(event, context, seq=seq)
            recorded = RecordedEvent(seq, row.type, row.run_id, row.body)
            await traces.handle(Delivery(recorded, uuid4(), 1, "acme"))
    return [dict(line) for line in lines]


def by_kind(lines: list[Line]) -> dict[str, Line]:
    return {f"{line['kind']} {line.get('run_id', '')}".strip(): line for line in lines}


async def test_each_span_is_a_line_under_its_parent_from_its_start_to_its_end():
    lines = await traced(Traces(), STORY)

    assert [(line["event"], line["kind"]) for line in lines] == [
        ("span", kind) for kind in ("session", "llm", "tool", "step", "run", "run")
    ]
    found = by_kind(lines)
    session, run, kid = found["session"], found["run r1"], found["run r2"]
    step, tool, llm = found["step r1"], found["tool r1"], found["llm r1"]
    assert "parent_id" not in session
    assert run["parent_id"] == session["span_id"]
    assert kid["parent_id"] == run["span_id"] == step["parent_id"]
    assert tool["parent_id"] == llm["parent_id"] == step["span_id"]
    assert len({line["span_id"] for line in lines}) == 6
    assert (run["name"], run["start"], run["duration_ms"], run["status"]) == (
        "team",
        (NOON + timedelta(seconds=2)).isoformat(),
        9000,
        "ok",
    )
    assert (tool["status"], tool["error"], tool["log_level"]) == ("error", "late", "warning")
    assert run["trace_id"] == step["trace_id"] == "a" * 32


async def test_without_a_trace_of_the_caller_the_session_is_the_trace():
    lines = await traced(Traces(), STORY)

    session, kid = by_kind(lines)["session"], by_kind(lines)["run r2"]
    assert session["trace_id"] == kid["trace_id"]
    assert len(session["trace_id"]) == 32


async def test_a_process_that_knows_only_the_end_of_a_span_says_the_same_of_it():
    whole = by_kind(await traced(Traces(), STORY))["step r1"]
    [late] = await traced(Traces(), STORY[7:8], first=8)

    assert (late["span_id"], late["parent_id"]) == (whole["span_id"], whole["parent_id"])
    assert late["duration_ms"] == 3
    assert late["start"] == (NOON + timedelta(seconds=7, milliseconds=997)).isoformat()


async def test_what_a_run_left_open_ends_with_it():
    failed = RunFailed(error=ErrorInfo(code="x", message="no"), duration_ms=5)
    traces = Traces()
    lines = await traced(traces, [(RUN, ROOT), (WORK, STEP), (CALL, STEP), (failed, ROOT)])

    assert [(line["kind"], line["status"]) for line in lines] == [
        ("tool", "unfinished"),
        ("step", "unfinished"),
        ("run", "error"),
    ]
    assert traces.open == 0


async def test_a_run_whose_start_nobody_saw_leaves_nothing_behind_either():
    traces = Traces()
    lines = await traced(traces, [(WORK, STEP), (RunCompleted(duration_ms=5), ROOT)])

    assert [(line["kind"], line["status"]) for line in lines] == [
        ("step", "unfinished"),
        ("run", "ok"),
    ]
    assert traces.open == 0
    await traced(traces, [(RUN, Context(run_id=f"q{n}")) for n in range(OPEN_SPANS_MAX + 1)])
    assert traces.open == OPEN_SPANS_MAX


async def test_a_step_that_is_done_over_is_one_span_under_the_innermost_that_it_is_in():
    outer, inner = Context(run_id="r1", step="a#1"), Context(run_id="r1", step="a#1/b#1")
    call = Context(run_id="r1", step="a#1/b#1/llm#1")
    done = StepCompleted(name="b", duration_ms=1)
    told: list[Told] = [(WORK, outer), (WORK, inner), (WORK, inner), (CALL, call), (BAD, call)]

    tool, step = await traced(Traces(), [*told, (done, inner)])

    assert tool["parent_id"] == step["span_id"]
    assert (step["start"], step["duration_ms"]) == ((NOON + timedelta(seconds=2)).isoformat(), 4000)


async def test_an_erased_session_leaves_nothing_open():
    traces = Traces()
    lines = await traced(
        traces,
        [(SessionCreated(), Context()), (RUN, ROOT), (SessionErased(erased_through=2), Context())],
    )

    assert [(line["kind"], line["status"]) for line in lines] == [
        ("session", "open"),
        ("session", "erased"),
    ]
    assert traces.open == 0


async def test_open_spans_are_bounded_and_the_oldest_are_forgotten():
    traces = Traces()
    runs = [(RUN, Context(run_id=f"r{n}")) for n in range(OPEN_SPANS_MAX + 3)]

    lines = await traced(traces, runs)

    assert traces.open == OPEN_SPANS_MAX
    assert [line["event"] for line in lines] == ["traces.full"]
    ended = await traced(traces, [(RunCompleted(duration_ms=1), Context(run_id="r0"))])
    assert [line["status"] for line in ended] == ["ok"]
