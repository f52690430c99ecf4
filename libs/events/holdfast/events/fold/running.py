"""The session and its runs: from being asked for, over waiting for people, to the one end."""

from typing import Any

from holdfast.events.fold.entries import Json, Run
from holdfast.events.fold.saying import place
from holdfast.events.fold.state import OPEN_STATUSES, State
from holdfast.events.fold.working import sweep_withdrawn


def session_created(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The session exists."""
    state.session["metadata"] = data.get("metadata") or {}
    state.session["ttl_s"] = data.get("ttl_s")
    state.session["created_ts"] = env["ts"]


def session_expired(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The session's time is over; what it shows stays."""
    state.session["status"] = "expired"


def session_erased(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """Nothing is left but the session's id."""
    state.clear()
    state.session["status"] = "erased"


def run_of(state: State, env: dict[str, Any], status: str = "running") -> Run:
    """Return the run that the event is about; one that nobody announced begins here."""
    run_id = env.get("run_id")
    entry = state.runs.all.get(run_id)
    if entry is None:
        entry = state.runs.put(
            {
                "run_id": run_id,
                "parent_run_id": env.get("parent_run_id"),
                "workflow": None,
                "workflow_version": None,
                "status": status,
                "attempt": None,
                "ts": env["ts"],
                "started_ts": None,
                "ended_ts": None,
                "result": None,
                "error": None,
                "reason": None,
                "stage": None,
                "progress": None,
                "usage": None,
                "duration_ms": None,
            }
        )
    return entry


def _set_status(state: State, run: Run, status: str) -> None:
    """Move a run on, unless it has ended: that is for good."""
    if run["status"] in OPEN_STATUSES:
        state.runs.change(run, status=status)


def command_accepted(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A run that was asked for waits for its turn; other commands show in what they do."""
    if data["kind"] == "start" and env.get("run_id") is not None:
        run_of(state, env, "queued")


def run_started(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The first attempt begins. A root run's stage and progress are the session's from here on."""
    run = run_of(state, env)
    state.runs.change(
        run,
        workflow=data["workflow"],
        workflow_version=data["workflow_version"],
        attempt=env.get("attempt"),
        started_ts=env["ts"],
    )
    _set_status(state, run, "running")
    if run["parent_run_id"] is None:
        state.stage = state.progress = None


def run_resumed(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """Another attempt goes on; whatever is open stays open."""
    run = run_of(state, env)
    state.runs.change(run, attempt=env.get("attempt"))
    _set_status(state, run, "running")
    if run["status"] == "running":
        state.runs.change(run, error=None)


def run_retrying(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The attempt failed; the run waits for the next one."""
    run = run_of(state, env)
    _set_status(state, run, "waiting")
    if run["status"] == "waiting":
        state.runs.change(run, error=data["error"])


def run_ended(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The run ends, and with it everything of it that was open."""
    run = run_of(state, env)
    if run["status"] in OPEN_STATUSES:
        state.runs.change(
            run,
            status=env["type"].partition(".")[2],
            result=data.get("result"),
            error=data.get("error"),
            reason=data.get("reason"),
            usage=data.get("usage"),
            duration_ms=data.get("duration_ms"),
            ended_ts=env["ts"],
        )
    # What a completed run left open was never going to be finished either: cancelled.
    _close(state, run["run_id"], "failed" if run["status"] == "failed" else "cancelled")


def _close(state: State, run_id: str | None, status: str) -> None:
    sweep_withdrawn(state, run_id)
    for said in (state.messages, state.reasoning):
        said.close(run_id, "cut", True)
    for table in (state.steps, state.agents, state.llm_calls, state.tools, state.tasks):
        table.close(run_id, "status", status)
    for asked in state.pending_inputs.open_of(run_id):
        state.pending_inputs.drop(asked["input_id"])


def input_requested(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The run waits for a person."""
    run = run_of(state, env)
    _set_status(state, run, "waiting")
    if run["status"] == "waiting":
        state.pending_inputs.put(
            {
                **place(env),
                "input_id": data["input_id"],
                "prompt": data["prompt"],
                "value_schema": data.get("value_schema"),
                "deadline": data.get("deadline"),
            }
        )


def input_settled(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """Somebody answered, or nobody did in time; with its last question settled the run goes on."""
    state.pending_inputs.drop(data["input_id"])
    run = run_of(state, env)
    if not state.pending_inputs.open_of(run["run_id"]):
        _set_status(state, run, "running")


def stage_changed(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The run entered another stage."""
    run = run_of(state, env)
    state.runs.change(run, stage=data["to"])
    state.stage = {"run_id": run["run_id"], "from": data.get("from"), "to": data["to"]}


def progress_updated(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The run tells how far it is."""
    run = run_of(state, env)
    told = {"fraction": data["fraction"], "label": data.get("label")}
    state.runs.change(run, progress=told)
    state.progress = {"run_id": run["run_id"], **told}


HANDLERS = {
    "session.created": session_created,
    "session.expired": session_expired,
    "session.erased": session_erased,
    "command.accepted": command_accepted,
    "run.started": run_started,
    "run.resumed": run_resumed,
    "run.retrying": run_retrying,
    "run.completed": run_ended,
    "run.failed": run_ended,
    "run.cancelled": run_ended,
    "input.requested": input_requested,
    "input.received": input_settled,
    "input.expired": input_settled,
    "stage.changed": stage_changed,
    "progress.updated": progress_updated,
}
