"""One event of every type with every field filled, and hypothesis strategies for all the others."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import strategies as st

from holdfast.events import catalog as c
from holdfast.events.catalog import ErrorInfo, Event, Usage
from holdfast.events.codec import encode
from holdfast.events.recorded import NOWHERE, Context, Emission, RecordedEvent

TS = datetime(2026, 11, 21, 9, 0, 0, 123_000, tzinfo=UTC)
RUN = Context(run_id="run_1", attempt=1)
STEP = Context(
    run_id="run_1",
    attempt=2,
    agent="Engineer",
    step="develop/write#1",
    lane="left",
    parent_run_id="run_0",
    task_id="task_1",
    item_id="item_1",
    user_id="user_1",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    metadata={"tag": ["a", 1, None]},
)
ERROR = ErrorInfo(
    code="provider-busy",
    message="The model is busy; try again in a minute.",
    retryable=True,
    details={"status": 429, "hint": None},
)
USAGE = Usage(input_tokens=12, output_tokens=34, total_tokens=46)
LATER = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

SAMPLES: tuple[tuple[Event, Context], ...] = (
    (c.SessionCreated(metadata={"title": "Grüße"}, ttl_s=86_400), NOWHERE),
    (c.SessionExpired(ttl_s=86_400), NOWHERE),
    (c.SessionErased(erased_through=41, reason="asked for"), NOWHERE),
    (c.RunStarted(workflow="team", workflow_version="3", input={"goal": "a game"}), RUN),
    (c.RunResumed(reason="takeover"), RUN),
    (c.RunRetrying(error=ERROR, delay_ms=1000, next_attempt=2), RUN),
    (c.RunCompleted(result={"ok": True}, duration_ms=5000, usage=USAGE), RUN),
    (c.RunFailed(error=ERROR, duration_ms=5000), RUN),
    (c.RunCancelled(reason="the user left", duration_ms=5000), RUN),
    (
        c.InputRequested(
            input_id="in_1", prompt="Go on?", value_schema={"type": "boolean"}, deadline=LATER
        ),
        STEP,
    ),
    (c.InputReceived(input_id="in_1", value=True, duration_ms=900), STEP),
    (c.InputExpired(input_id="in_1", duration_ms=900), STEP),
    (c.StageChanged(from_="design", to="development"), RUN),
    (c.StepStarted(name="write"), STEP),
    (c.StepCompleted(name="write", duration_ms=20, result=[1, 2.5, "x"]), STEP),
    (c.StepFailed(name="write", error=ERROR, duration_ms=20), STEP),
    (c.StepRetrying(name="write", error=ERROR, delay_ms=100, next_try=2), STEP),
    (c.StepRestarted(name="write"), STEP),
    (c.AgentStarted(name="Engineer", role="writes code"), STEP),
    (c.AgentCompleted(name="Engineer", duration_ms=30, result="done"), STEP),
    (c.AgentFailed(name="Engineer", error=ERROR, duration_ms=30), STEP),
    (c.LlmStarted(call_id="llm_1", model="small"), STEP),
    (c.LlmDelta(call_id="llm_1", text="def"), STEP),
    (
        c.LlmCompleted(
            call_id="llm_1",
            duration_ms=40,
            model="small",
            usage=USAGE,
            time_to_first_token_ms=7,
            finish_reason="stop",
        ),
        STEP,
    ),
    (c.LlmFailed(call_id="llm_1", error=ERROR, duration_ms=40, model="small"), STEP),
    (c.MessageStarted(message_id="msg_1", role="assistant", content_type="text/markdown"), STEP),
    (c.MessageDelta(message_id="msg_1", text='a\nb\t"c"\u0085\u2028\u2029\u007f 🜂'), STEP),
    (
        c.MessageCompleted(
            message_id="msg_1",
            role="assistant",
            content="# Hi",
            content_type="text/markdown",
            duration_ms=50,
        ),
        STEP,
    ),
    (c.ReasoningStarted(reasoning_id="rea_1"), STEP),
    (c.ReasoningDelta(reasoning_id="rea_1", text="hm"), STEP),
    (c.ReasoningCompleted(reasoning_id="rea_1", content="hm, yes", duration_ms=60), STEP),
    (c.ToolStarted(call_id="tool_1", name="search", args={"q": "x"}), STEP),
    (c.ToolProgress(call_id="tool_1", name="search", text="half", fraction=0.5), STEP),
    (
        c.ToolCompleted(
            call_id="tool_1",
            name="search",
            result=["a"],
            content_type="application/json",
            duration_ms=70,
        ),
        STEP,
    ),
    (c.ToolFailed(call_id="tool_1", name="search", error=ERROR, duration_ms=70), STEP),
    (
        c.PlanCreated(
            plan_id="plan_1",
            title="A game",
            items=(
                c.PlanItem(task_id="task_1", title="Draw"),
                c.PlanItem(task_id="task_2", title="Play"),
            ),
        ),
        STEP,
    ),
    (c.PlanFailed(plan_id="plan_1", error=ERROR), STEP),
    (c.TaskStarted(task_id="task_1", title="Draw"), STEP),
    (c.TaskCompleted(task_id="task_1", duration_ms=80, result="drawn"), STEP),
    (c.TaskFailed(task_id="task_1", error=ERROR, duration_ms=80), STEP),
    (c.TaskCancelled(task_id="task_1", duration_ms=80, reason="no time"), STEP),
    (
        c.ComponentRendered(component_id="cmp_1", component_type="chart", content={"y": [1, 2]}),
        STEP,
    ),
    (c.NotificationSent(text="Saved.", level="success", title="Done"), STEP),
    (c.ProgressUpdated(fraction=0.25, label="a quarter"), RUN),
    (
        c.ArtifactCreated(
            artifact_id="art_1",
            name="main.py",
            media_type="text/x-python",
            content="print()",
            uri="https://files.example/main.py",
            size=7,
        ),
        STEP,
    ),
    (c.StateSnapshot(state={"a": 1, "b": {"c": None}}), RUN),
    (c.StateUpdated(changes={"a": None, "d": [1]}), RUN),
    (c.CheckpointSaved(checkpoint_id="1f0", namespace="sub", next=("qa",)), RUN),
    (c.CheckpointRestored(checkpoint_id="1f0", namespace="sub"), RUN),
    (c.CommandAccepted(command_id="cmd_1", kind="start", start_at=LATER), RUN),
    (c.CommandRejected(command_id="cmd_1", kind="cancel", reason="run-ended"), RUN),
    (c.MiddlewareExecuted(name="budget", duration_ms=1), STEP),
    (c.MiddlewareFailed(name="budget", error=ERROR, duration_ms=1), STEP),
)

BY_TYPE = {event.type: (event, context) for event, context in SAMPLES}


def recorded(
    event: Event,
    context: Context = NOWHERE,
    *,
    seq: int = 1,
    session_id: str = "ses_1",
    ts: datetime = TS,
) -> RecordedEvent:
    """Return the event as the log would hold it."""
    body = encode(event, context, session_id=session_id, seq=seq, ts=ts)
    return RecordedEvent(seq, event.type, context.run_id, body)


def log(emissions: Iterable[Emission]) -> list[RecordedEvent]:
    """Return the emissions as a session's log from seq 1 on, a second apart."""
    return [
        recorded(
            emission.event,
            emission.context,
            seq=seq,
            ts=TS + timedelta(seconds=seq),
            session_id="s",
        )
        for seq, emission in enumerate(emissions, 1)
    ]


# --- strategies ----------------------------------------------------------------------------------

# Everything that UTF-8 can carry: all code points but the surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
# Few ids, so that generated events meet each other.
IDS = st.sampled_from(["a", "b", "7"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
CONTEXTS = st.builds(
    Context,
    run_id=st.sampled_from([None, "r1", "r2"]),
    attempt=st.none() | st.integers(1, 3),
    agent=st.sampled_from([None, "ann", "bob"]),
    step=st.sampled_from([None, "s#1", "s#2"]),
    lane=st.sampled_from([None, "left"]),
    parent_run_id=st.sampled_from([None, "r1"]),
)


@st.composite
def events(draw: st.DrawFn, types: list[type[Event]] | None = None) -> Event:
    """Return any valid event: each field is drawn from what the wire allows in it."""
    model = draw(st.sampled_from(types or list(c.CATALOG)))
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if name == "type" or (not field.is_required() and draw(st.booleans())):
            continue
        fields[name] = draw(_values(model, name))
    return model(**fields)


EVENTS = events()


@cache
def _values(model: type[Event], name: str) -> st.SearchStrategy[Any]:
    if name.endswith("_id") or name == "name":
        return IDS
    schema = model.model_json_schema(mode="serialization")["properties"]
    shape = schema[model.model_fields[name].serialization_alias or name]
    shape = next((s for s in shape.get("anyOf", []) if s.get("type") != "null"), shape)
    if "enum" in shape:
        return st.sampled_from(shape["enum"])
    match shape.get("$ref", "").removeprefix("#/$defs/"):
        case "ErrorInfo":
            return st.just(ERROR)
        case "Usage":
            return st.just(USAGE)
        case "JsonValue":
            return JSON
        case _:
            pass
    if name == "items":
        return st.lists(st.builds(c.PlanItem, task_id=IDS, title=TEXTS), max_size=3).map(tuple)
    match shape.get("type"), shape.get("format"):
        case "string", "date-time":
            return st.just(LATER)
        case "string", _:
            return TEXTS
        case "integer", _:
            return st.integers(0, 2**53)
        case "number", _:
            return st.floats(0, 1)
        case "object", _:
            return st.dictionaries(TEXTS, JSON, max_size=3)
        case "array", _:
            return st.lists(TEXTS, max_size=2).map(tuple)
        case other:
            raise AssertionError(f"{model.__name__}.{name}: {other}")


EMISSIONS = st.builds(Emission, EVENTS, CONTEXTS)
