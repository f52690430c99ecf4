"""How the routes' problems stand in the OpenAPI document."""

from typing import Any

from holdfast.gateway.models import ProblemDocument

_MEANING = {
    400: "what was sent is malformed",
    403: "pages of this origin may not change anything here",
    404: "unknown, or somebody else's: the answer is the same",
    408: "the body took too long",
    409: "not possible as things stand",
    410: "erased",
    413: "the body is too large",
    414: "the URL is too long",
    415: "not JSON",
    421: "the gateway does not answer to this name",
    422: "a field does not fit; `errors` names it",
    431: "the headers are too large",
    429: "too much at once; `Retry-After` says when to come back",
    503: "the log can't be reached at the moment",
}

_OF_BODIES = (400, 408, 413, 415, 422)


def problems(*statuses: int, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for these statuses; `body` adds those of every call with a body."""
    wanted = {*statuses, *(_OF_BODIES if body else ())}
    return {
        status: {"model": ProblemDocument, "description": _MEANING[status]}
        for status in sorted(wanted)
    }


_FRAME: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]*$", "description": "the cursor"},
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer", "minimum": 0},
    },
    "if": {"properties": {"event": {"const": "message"}}},
    "then": {"properties": {"data": {"contentSchema": {"$ref": "#/components/schemas/WireEvent"}}}},
    "else": {"properties": {"event": {"enum": ["caught-up", "stalled", "live", "drain", "reset"]}}},
}

EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "server-sent events: unnamed frames carry one event each, `id` is its seq; named ones tell of"
        " the stream itself; a refusal in passing is a `retry:` and the end",
        "content": {
            "text/event-stream": {
                # What each frame is. OpenAPI 3.2's word, which tools know in a document of 3.1, too.
                "itemSchema": _FRAME,
            }
        },
    },
    204: {"description": "nothing will follow the cursor"},
}
