"""How the routes' problems stand in the OpenAPI document."""

from typing import Any

from holdfast.gateway.models import ProblemDocument

_MEANING = {
    400: "what was sent is malformed",
    404: "unknown, or somebody else's: the answer is the same",
    408: "the body took too long",
    409: "not possible as things stand",
    410: "erased",
    413: "the body is too large",
    415: "not JSON",
    422: "a field does not fit; `errors` names it",
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


EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "server-sent events; a refusal in passing is a `retry:` and the end",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "string",
                    "description": "unnamed frames carry one event each, `id` is its seq; named ones"
                    " are `caught-up`, `stalled`, `live`, `drain`, `reset`",
                    "x-frame-data": {"$ref": "#/components/schemas/WireEvent"},
                }
            }
        },
    },
    204: {"description": "nothing will follow the cursor"},
}
