"""The OpenAPI document: FastAPI's, made true. `python -m holdfast.gateway.openapi` writes it.

FastAPI knows what its routes and models say. It knows neither what is refused at the door, before any route, nor that
problems have their own media type, nor that a parameter in a URL can't be null.
"""

import sys
from collections.abc import Iterator
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from holdfast.gateway.models import WireEvent
from holdfast.gateway.problems import PROBLEM_MEDIA_TYPE
from holdfast.gateway.routes.answers import problems

_PROBLEM = {"$ref": "#/components/schemas/ProblemDocument"}
_ADDED = {"$ref": "#/components/schemas/HTTPValidationError"}
_NULL = {"type": "null"}

# Asked of every request. On the paths of streams 414 and 431 are 400s, which a browser's client gives up on as well.
_DOOR = (400, 414, 421, 431)
_STREAM_DOOR = (400, 421)

# Asked of what may change something: where it comes from, and what body it brings.
_CHANGING = frozenset({"post", "delete"})
_CHANGING_DOOR = (403, 408, 413, 415, 422)


def install_openapi(app: FastAPI) -> None:
    """Make the application describe itself truthfully at /openapi.json."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _corrected(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=app.description,
                    routes=app.routes,
                )
            )
        return app.openapi_schema

    app.openapi = document


def page(app: FastAPI) -> bytes:
    """Return the document as a file: the same bytes for the same routes."""
    return orjson.dumps(app.openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _corrected(document: dict[str, Any]) -> dict[str, Any]:
    for method, operation in _operations(document):
        responses: dict[str, Any] = operation["responses"]
        for status, response in list(responses.items()):
            if response.get("content", {}).get("application/json", {}).get("schema") == _ADDED:
                # FastAPI thinks of every parameter that it could refuse it; those that can be are declared.
                del responses[status]
        for status, response in _at_the_door(method, responses).items():
            responses.setdefault(status, response)
        for response in responses.values():
            content = response.get("content", {})
            if content.get("application/json", {}).get("schema") == _PROBLEM:
                content[PROBLEM_MEDIA_TYPE] = content.pop("application/json")
        operation["responses"] = dict(sorted(responses.items()))
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _never_null(parameter["schema"])
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    # Named by the streams' descriptions, which FastAPI doesn't look into.
    schemas.setdefault("WireEvent", WireEvent.model_json_schema())
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in document["paths"].values():
        yield from path.items()


def _at_the_door(method: str, responses: dict[str, Any]) -> dict[str, Any]:
    is_stream = "204" in responses
    statuses = {*(_STREAM_DOOR if is_stream else _DOOR)}
    if method in _CHANGING:
        statuses.update(_CHANGING_DOOR)
    return {
        str(status): {
            "description": declared["description"],
            "content": {"application/json": {"schema": _PROBLEM}},
        }
        for status, declared in problems(*statuses).items()
    }


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter that is left out or has a value, but is never null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != _NULL]
    if len(kinds) != 1:
        return schema
    return {**kinds[0], **{key: value for key, value in schema.items() if key != "anyOf"}}


def main() -> None:
    """Write the document to stdout; nothing is opened for it."""
    # Here, since the application is built from this module, too.
    from holdfast.gateway.app import create_app
    from holdfast.gateway.settings import load_settings

    nowhere = load_settings(database_url="postgresql://localhost", redis_url="redis://localhost")
    sys.stdout.buffer.write(page(create_app(nowhere)))


if __name__ == "__main__":
    main()
