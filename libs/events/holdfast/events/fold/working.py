"""Steps, and the agents, model calls and tools at work in them.

What is completed is for good: a repeated start changes nothing. What failed may be started again.
"""

from typing import Any, TypeVar

from holdfast.events.fold.entries import Agent, Json, LlmCall, Message, Reasoning, Step, ToolCall
from holdfast.events.fold.saying import place
from holdfast.events.fold.state import TEXT_CHARS_MAX, State, Table

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
            entry["complete"] = entry["cut"] = False
            table.settle(entry)


def _reopen_calls(table: Table[C], run_id: str | None, step: str | None) -> None:
    for call in table.all.values():
        if call["run_id"] == run_id and call["step"] == step:
            call["status"] = "running"
            table.settle(call)


def withdraw(state: State, run_id: str | None, step: str | None) -> None:
    """Empty what is unfinished under a step, until its next try goes on with it."""
    for said in (state.messages, state.reasoning):
        for entry in said.open_of(run_id):
            if entry["step"] == step:
                entry["content"], entry["withdrawn"] = "", True
    for call in state.llm_calls.open_of(run_id):
        if call["step"] == step:
            call["text"], call["withdrawn"] = "", True
    for call in state.tools.open_of(run_id):
        if call["step"] == step:
            call["progress"], call["withdrawn"] = None, True


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
    entry["attempt"] = env.get("attempt")
    return entry


def step_started(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The step's function is about to be called."""
    entry = _step(state, env, data)
    if entry["status"] != "completed":
        entry["status"], entry["ended_ts"], entry["error"] = "running", None, None
        entry["duration_ms"] = None
        state.steps.settle(entry)


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
        entry["status"], entry["error"] = "retrying", data["error"]
        state.steps.settle(entry)
    withdraw(state, env.get("run_id"), env.get("step"))


def step_ended(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The step is completed or failed."""
    entry = _step(state, env, data)
    entry["status"] = env["type"].partition(".")[2]
    entry["result"], entry["error"] = data.get("result"), data.get("error")
    entry["duration_ms"], entry["ended_ts"] = data.get("duration_ms"), env["ts"]
    state.steps.settle(entry)
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
    entry["role"] = data.get("role")
    entry["status"], entry["result"], entry["error"] = "running", None, None
    entry["step"], entry["duration_ms"] = env.get("step"), None
    state.agents.settle(entry)


def agent_ended(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The agent's turn is completed or failed."""
    entry = _agent(state, env, data["name"])
    entry["status"] = env["type"].partition(".")[2]
    entry["result"], entry["error"] = data.get("result"), data.get("error")
    entry["duration_ms"] = data.get("duration_ms")
    state.agents.settle(entry)


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
        if entry["status"] != "running":
            entry["text"] = ""
        entry["model"] = data.get("model")
        entry["status"], entry["error"], entry["duration_ms"] = "running", None, None
        entry["withdrawn"] = False
        state.llm_calls.settle(entry)


def llm_delta(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """Raw text arrives from the model."""
    entry = _llm(state, env, data["call_id"])
    if entry["status"] == "running":
        entry["withdrawn"] = False
        if len(entry["text"]) < TEXT_CHARS_MAX:
            entry["text"] += data["text"]


def llm_ended(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The model call is completed or failed."""
    entry = _llm(state, env, data["call_id"])
    entry["status"] = env["type"].partition(".")[2]
    entry["model"] = data.get("model") or entry["model"]
    entry["usage"], entry["error"] = data.get("usage"), data.get("error")
    entry["finish_reason"] = data.get("finish_reason")
    entry["duration_ms"] = data.get("duration_ms")
    entry["time_to_first_token_ms"] = data.get("time_to_first_token_ms")
    entry["withdrawn"] = False
    state.llm_calls.settle(entry)


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
        entry["name"], entry["args"] = data["name"], data.get("args")
        entry["status"], entry["error"], entry["progress"] = "running", None, None
        entry["duration_ms"], entry["withdrawn"] = None, False
        state.tools.settle(entry)


def tool_progress(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The tool tells how far it is."""
    entry = _tool(state, env, data)
    if entry["status"] == "running":
        entry["progress"] = {"text": data.get("text"), "fraction": data.get("fraction")}
        entry["withdrawn"] = False


def tool_ended(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The tool returned or raised."""
    entry = _tool(state, env, data)
    entry["status"] = env["type"].partition(".")[2]
    entry["result"], entry["error"] = data.get("result"), data.get("error")
    entry["content_type"] = data.get("content_type")
    entry["duration_ms"], entry["withdrawn"] = data.get("duration_ms"), False
    state.tools.settle(entry)


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
