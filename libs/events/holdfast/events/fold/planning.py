"""Plans and their tasks."""

from typing import Any

from holdfast.events.fold.entries import Json, Plan, Task
from holdfast.events.fold.saying import place
from holdfast.events.fold.state import State


def _plan(state: State, env: dict[str, Any], plan_id: str) -> Plan:
    entry = state.plans.all.get((env.get("run_id"), plan_id))
    if entry is None:
        entry = state.plans.put(
            {
                **place(env),
                "plan_id": plan_id,
                "title": None,
                "items": [],
                "status": "created",
                "error": None,
            }
        )
    return entry


def plan_created(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A plan is made or made anew: tasks of the earlier one that nobody began are gone."""
    entry = _plan(state, env, data["plan_id"])
    state.plans.change(
        entry,
        title=data.get("title"),
        items=data.get("items", []),
        status="created",
        error=None,
    )
    run_id, planned = env.get("run_id"), {item["task_id"] for item in entry["items"]}
    for task in state.tasks.open_of(run_id):
        if (
            task["status"] == "pending"
            and task["plan_id"] == data["plan_id"]
            and task["task_id"] not in planned
        ):
            state.tasks.drop((run_id, task["task_id"]))
    for item in entry["items"]:
        task = _task(state, env, item["task_id"], "pending")
        state.tasks.change(task, plan_id=data["plan_id"], title=item["title"])


def plan_failed(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """There is no plan, or it can't be carried out."""
    entry = _plan(state, env, data["plan_id"])
    state.plans.change(entry, status="failed", error=data["error"])


def _task(state: State, env: dict[str, Any], task_id: str, status: str) -> Task:
    entry = state.tasks.all.get((env.get("run_id"), task_id))
    if entry is None:
        entry = state.tasks.put(
            {
                **place(env),
                "task_id": task_id,
                "plan_id": None,
                "title": None,
                "status": status,
                "result": None,
                "error": None,
                "reason": None,
                "duration_ms": None,
            }
        )
    return entry


def task_started(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """Work on the task begins, or begins again after it failed."""
    entry = _task(state, env, data["task_id"], "running")
    if entry["status"] != "completed":
        state.tasks.change(
            entry,
            title=data.get("title") or entry["title"],
            status="running",
            error=None,
            reason=None,
            duration_ms=None,
        )


def task_ended(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The task is completed, failed or cancelled."""
    status = env["type"].partition(".")[2]
    entry = _task(state, env, data["task_id"], status)
    state.tasks.change(
        entry,
        status=status,
        reason=data.get("reason"),
        result=data.get("result"),
        error=data.get("error"),
        duration_ms=data.get("duration_ms"),
    )


HANDLERS = {
    "plan.created": plan_created,
    "plan.failed": plan_failed,
    "task.started": task_started,
    "task.completed": task_ended,
    "task.failed": task_ended,
    "task.cancelled": task_ended,
}
