"""Steps, and the agents, model calls and tools at work in them.

What is completed is for good: a repeated start changes nothing. What failed may be started again.
"""

from typing import Any, TypeVar

from holdfast.events.fold.entries import Agent, Json, LlmCall, Message, Reasoning, Step, ToolCall
from holdfast.events.fold.saying import grown, place
from holdfast.events.fold.state import State, Table

T = TypeVar("T", Message, Reasoning)
C = TypeVar("C", LlmCall, ToolCall)


def reopen(state: State, run_id: str | None, step: str | None) -> None:
    """Make everything under a step unfinished again, the complete too: it is going to be shown anew."""
    _reopen_texts(state.messages, run_id, step)
    _reopen_texts(state.reasoning, run_id, step)
    _reopen_calls(state.llm_calls, run_id, step)
    _reopen_calls(state.tools, run_id, step)


def _reopen_texts(table: Table[T], run_id: str | None, step: str | None) -> None:
    for entry in table.all.values():
        if entry["run_id"] == run_id and entry["step"] == step:
            table.change(entry, complete=False, cut=False)


def _reopen_calls(table: Table[C], run_id: str | None, step: str | None) -> None:
    for call in table.all.values():
        if call["run_id"] == run_id and call["step"] == step:
            table.change(call, status="running")


def withdraw(state: State, run_id: str | None, step: str | None) -> None:
    """Empty what is unfinished under a step, until its next try goes on with it."""
    _withdraw_texts(state.messages, run_id, step)
    _withdraw_texts(state.reasoning, run_id, step)
    for call in state.llm_calls.open_of(run_id):
        if call["step"] == step:
            state.llm_calls.change(call, text="", withdrawn=True)
    for call in state.tools.open_of(run_id):
        if call["step"] == step:
            state.tools.change(call, progress=None, withdrawn=True)


def _withdraw_texts(table: Table[T], run_id: str | None, step: str | None) -> None:
    for entry in table.open_of(run_id):
        if entry["step"] == step:
            table.change(entry, content="", withdrawn=True)


def sweep_withdrawn(state: State, run_id: str | None, step: str | None = None) -> None:
    """Take out what no later try went on with: under one step, or of the whole run."""
    for table in (state.messages, state.reasoning, state.llm_calls, state.tools):
        for key, entry in list(table.open.items()):
            if entry["withdrawn"] and entry["run_id"] == run_id and step in (None, entry["step"]):
                table.drop(key)


def _step(state: State, env: dict[str, Any], data: dict[str, Json]) -> Step:
    run_id, key = env.get("run_id"), env.get("step")
    entry = state.steps.all.get((run_id, key))
    if entry is None:
        entry = state.steps.put(
            {
                "run_id": run_id,
                "key": key,
                "name": data["name"],
                "agent": env.get("agent"),
                "lane": env.get("lane"),
                "status": "running",
                "attempt": None,
                "ts": env["ts"],
                "ended_ts": None,
                "result": None,
                "error": None,
                "duration_ms": None,
            }
        )
    state.steps.change(entry, attempt=env.get("attempt"))
    return entry


def step_started(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The step's function is about to be called."""
    entry = _step(state, env, data)
    if entry["status"] != "completed":
        state.steps.change(entry, status="running", ended_ts=None, error=None, duration_ms=None)


def step_restarted(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A new attempt does the step over; all that the earlier one showed of it is withdrawn."""
    if (env.get("run_id"), env.get("step")) in state.steps.all:
        # A streamed message is a step too, but one that is not shown as such.
        step_started(state, env, data)
    reopen(state, env.get("run_id"), env.get("step"))
    withdraw(state, env.get("run_id"), env.get("step"))


def step_retrying(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The step will be tried again; what the failed try left unfinished is withdrawn."""
    entry = _step(state, env, data)
    if entry["status"] != "completed":
        state.steps.change(entry, status="retrying", error=data["error"])
    withdraw(state, env.get("run_id"), env.get("step"))


def step_ended(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The step is completed or failed."""
    entry = _step(state, env, data)
    state.steps.change(
        entry,
        status=env["type"].partition(".")[2],
        result=data.get("result"),
        error=data.get("error"),
        duration_ms=data.get("duration_ms"),
        ended_ts=env["ts"],
    )
    if entry["key"] is not None:
        sweep_withdrawn(state, entry["run_id"], entry["key"])


def _agent(state: State, env: dict[str, Any], name: str) -> Agent:
    entry = state.agents.all.get((env.get("run_id"), name, env.get("lane")))
    if entry is None:
        entry = state.agents.put(
            {
                **place(env),
                "name": name,
                "role": None,
                "status": "running",
                "result": None,
                "error": None,
                "duration_ms": None,
            }
        )
    return entry


def agent_started(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The agent takes its turn, its first or another."""
    entry = _agent(state, env, data["name"])
    state.agents.change(
        entry,
        role=data.get("role"),
        status="running",
        result=None,
        error=None,
        step=env.get("step"),
        duration_ms=None,
    )


def agent_ended(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The agent's turn is completed or failed."""
    entry = _agent(state, env, data["name"])
    state.agents.change(
        entry,
        status=env["type"].partition(".")[2],
        result=data.get("result"),
        error=data.get("error"),
        duration_ms=data.get("duration_ms"),
    )


def _llm(state: State, env: dict[str, Any], call_id: str) -> LlmCall:
    entry = state.llm_calls.all.get((env.get("run_id"), call_id))
    if entry is None:
        entry = state.llm_calls.put(
            {
                **place(env),
                "call_id": call_id,
                "model": None,
                "text": "",
                "status": "running",
                "usage": None,
                "finish_reason": None,
                "error": None,
                "withdrawn": False,
                "duration_ms": None,
                "time_to_first_token_ms": None,
            }
        )
    return entry


def llm_started(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The model is called, or called again after a failure."""
    entry = _llm(state, env, data["call_id"])
    if entry["status"] != "completed":
        state.llm_calls.change(
            entry,
            text=entry["text"] if entry["status"] == "running" else "",
            model=data.get("model"),
            status="running",
            error=None,
            duration_ms=None,
            withdrawn=False,
        )


def llm_delta(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """Raw text arrives from the model."""
    entry = _llm(state, env, data["call_id"])
    if entry["status"] == "running":
        state.llm_calls.change(entry, text=grown(entry["text"], data["text"]), withdrawn=False)


def llm_ended(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The model call is completed or failed."""
    entry = _llm(state, env, data["call_id"])
    state.llm_calls.change(
        entry,
        status=env["type"].partition(".")[2],
        model=data.get("model") or entry["model"],
        usage=data.get("usage"),
        error=data.get("error"),
        finish_reason=data.get("finish_reason"),
        duration_ms=data.get("duration_ms"),
        time_to_first_token_ms=data.get("time_to_first_token_ms"),
        withdrawn=False,
    )


def _tool(state: State, env: dict[str, Any], data: dict[str, Json]) -> ToolCall:
    entry = state.tools.all.get((env.get("run_id"), data["call_id"]))
    if entry is None:
        entry = state.tools.put(
            {
                **place(env),
                "call_id": data["call_id"],
                "name": data["name"],
                "args": None,
                "status": "running",
                "progress": None,
                "result": None,
                "content_type": None,
                "error": None,
                "withdrawn": False,
                "duration_ms": None,
            }
        )
    return entry


def tool_started(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The tool is called, or called again after a failure."""
    entry = _tool(state, env, data)
    if entry["status"] != "completed":
        state.tools.change(
            entry,
            name=data["name"],
            args=data.get("args"),
            status="running",
            error=None,
            progress=None,
            duration_ms=None,
            withdrawn=False,
        )


def tool_progress(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The tool tells how far it is."""
    entry = _tool(state, env, data)
    if entry["status"] == "running":
        told = {"text": data.get("text"), "fraction": data.get("fraction")}
        state.tools.change(entry, progress=told, withdrawn=False)


def tool_ended(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The tool returned or raised."""
    entry = _tool(state, env, data)
    state.tools.change(
        entry,
        status=env["type"].partition(".")[2],
        result=data.get("result"),
        error=data.get("error"),
        content_type=data.get("content_type"),
        duration_ms=data.get("duration_ms"),
        withdrawn=False,
    )


HANDLERS = {
    "step.started": step_started,
    "step.completed": step_ended,
    "step.failed": step_ended,
    "step.retrying": step_retrying,
    "step.restarted": step_restarted,
    "agent.started": agent_started,
    "agent.completed": agent_ended,
    "agent.failed": agent_ended,
    "llm.started": llm_started,
    "llm.delta": llm_delta,
    "llm.completed": llm_ended,
    "llm.failed": llm_ended,
    "tool.started": tool_started,
    "tool.progress": tool_progress,
    "tool.completed": tool_ended,
    "tool.failed": tool_ended,
}
