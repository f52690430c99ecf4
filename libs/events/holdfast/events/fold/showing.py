"""Components, notices, artifacts, the agents' shared state and the last checkpoint."""

from typing import Any

from holdfast.events.fold.entries import Json
from holdfast.events.fold.saying import place
from holdfast.events.fold.state import State


def component_rendered(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A component appears, or the same id replaces the earlier one in its place."""
    state.components.put(
        {
            **place(env),
            "component_id": data["component_id"],
            "component_type": data["component_type"],
            "content": data.get("content"),
        }
    )


def notification_sent(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A notice appears; the oldest of too many goes."""
    state.notifications.append(
        {
            "run_id": env.get("run_id"),
            "agent": env.get("agent"),
            "ts": env["ts"],
            "level": data.get("level", "info"),
            "title": data.get("title"),
            "text": data["text"],
        }
    )


def artifact_created(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """Something to keep came out of the run."""
    state.artifacts.put(
        {
            **place(env),
            "artifact_id": data["artifact_id"],
            "name": data["name"],
            "media_type": data.get("media_type", "text/plain"),
            "content": data.get("content"),
            "uri": data.get("uri"),
            "size": data.get("size"),
        }
    )


def state_snapshot(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The shared state is this."""
    state.shared, state.shared_weight = {}, 0
    state.share(data["state"])


def state_updated(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """Some keys of the shared state changed; null removes one."""
    for key in [key for key, value in data["changes"].items() if value is None]:
        state.unshare(key)
    state.share({k: v for k, v in data["changes"].items() if v is not None})


def checkpoint_saved(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A takeover would go on from here."""
    state.checkpoint = {
        "run_id": env.get("run_id"),
        "checkpoint_id": data["checkpoint_id"],
        "namespace": data.get("namespace"),
        "next": data.get("next", []),
        "ts": env["ts"],
    }


HANDLERS = {
    "component.rendered": component_rendered,
    "notification.sent": notification_sent,
    "artifact.created": artifact_created,
    "state.snapshot": state_snapshot,
    "state.updated": state_updated,
    "checkpoint.saved": checkpoint_saved,
}
