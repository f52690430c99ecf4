"""The event reference, `docs/events.md`: `python -m holdfast.events.reference` writes it."""

import sys
from typing import Any

from holdfast.events.catalog import CATALOG, TERMINAL_TYPES
from holdfast.events.codec import DEPTH_MAX, EVENT_BYTES_MAX
from holdfast.events.kinds import family
from holdfast.events.schema import export_schema

FAMILIES = {
    "session": "A session is the unit of ordering: everything here happens in one.",
    "run": "One execution of a workflow in a session. It has one terminal event, its last.",
    "input": "A run asks a person and waits, holding no worker meanwhile.",
    "stage": "Where in its work a run is.",
    "step": "Recorded units of a workflow; a LangGraph node is one. The envelope's `step` is the key.",
    "agent": "Agents taking turns. The envelope's `agent` is the name.",
    "llm": "Model calls.",
    "message": "What is said, in pieces and whole.",
    "reasoning": "What is thought, in pieces and whole.",
    "tool": "Tool calls.",
    "plan": "What is going to be done.",
    "task": "Items of a plan, or work without one.",
    "component": "Generated interface: the same id replaces in place.",
    "notification": "Short notices.",
    "progress": "How far a run is.",
    "artifact": "What is left to keep.",
    "state": "What the agents of a run share.",
    "checkpoint": "A framework's own durable state.",
    "command": "What was asked of a session, and whether it was taken on.",
    "middleware": "What stands around an agent's execution.",
}

_HEAD = f"""# Events

Written by `python -m holdfast.events.reference` from the catalogue; edit the models, not this page. The same as JSON
Schema: [events.v1.schema.json](events.v1.schema.json). How the names of other systems map to these:
[event-names.md](event-names.md).

## The envelope

One event is one line of JSON, the same bytes for every reader:

```json
{{"v":1,"seq":7,"type":"message.delta","session_id":"ses_1","run_id":"run_1","attempt":1,\
"ts":"2026-11-21T09:00:00.123Z","agent":"Engineer","step":"talk#1","data":{{"message_id":"msg_1","text":"Good"}}}}
```

| field | meaning |
|---|---|
| `v` | version of the wire; 1 grows by additions only |
| `seq` | the event's place in its session, from 1, without gaps; also its SSE id and the cursor to resume after |
| `type` | which event this is; it picks the fields of `data` |
| `session_id` | the session |
| `run_id`, `attempt` | the run, and which worker's try at it; absent on a session's own events |
| `ts` | the worker's clock in UTC; informative: `seq` is the only order |
| `agent`, `step`, `lane` | who, in which step (its key), in which parallel branch |
| `parent_run_id` | the run that started this one |
| `task_id`, `item_id`, `user_id` | what the application relates the event to |
| `trace_id` | the caller's trace, or the run's |
| `metadata` | free, the application's own |
| `data` | the fields below |

What is empty is absent, never null. Ignore fields that you don't know and pass types on that you don't know: they are a
newer writer's. An event is at most {EVENT_BYTES_MAX // 1024} KiB, a field of `data` at most {DEPTH_MAX} levels deep.

In the tables, fields with `?` may be absent. Ends carry their duration in milliseconds, `duration_ms`. Errors are
`{{code, message, retryable, details?}}`, usage is `{{input_tokens?, output_tokens?, total_tokens?}}`.
"""

_TAIL = """## `custom.<name>`

Types of an application's own, with a model that it registers (`register_custom`): lower-case words joined by dots, at
most 64 characters. Readers without the model pass them on untouched.
"""


def reference() -> str:
    """Return the page as Markdown."""
    definitions = export_schema()["$defs"]
    parts = [_HEAD]
    for name, meaning in FAMILIES.items():
        rows = [
            f"| `{type_}` | {_meaning(type_, model.__doc__ or '')} "
            f"| {_fields(definitions[f'{model.__name__}Data'])} |"
            for model in CATALOG
            if family(type_ := model.model_fields["type"].default) == name
        ]
        parts.append(
            f"## {name}\n\n{meaning}\n\n| type | what it means | data |\n|---|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    return "\n".join([*parts, _TAIL])


def _meaning(type_: str, doc: str) -> str:
    text = " ".join(doc.split())
    return f"**{text}**" if type_ in TERMINAL_TYPES else text


def _fields(data: dict[str, Any]) -> str:
    required = set(data["required"])
    return (
        ", ".join(
            f"`{name}{'' if name in required else '?'}` {_kind(schema)}".strip()
            for name, schema in data["properties"].items()
        )
        or "—"
    )


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " \\| ".join(schema["enum"])
    if "$ref" in schema:
        return schema["$ref"].removeprefix("#/$defs/")
    match schema.get("type"):
        case "array":
            return f"list of {_kind(schema['items'])}"
        case "string":
            return "time" if schema.get("format") == "date-time" else "text"
        case "integer" | "number" | "object" as kind:
            return str(kind)
        case _:
            return "JSON"


if __name__ == "__main__":
    sys.stdout.write(reference())
