"""The OpenAPI document: FastAPI's, with problems under their own media type."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from holdfast.gateway.models import WireEvent
from holdfast.gateway.problems import PROBLEM_MEDIA_TYPE

_PROBLEM = {"$ref": "#/components/schemas/ProblemDocument"}
_ADDED = {"$ref": "#/components/schemas/HTTPValidationError"}


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


def _corrected(document: dict[str, Any]) -> dict[str, Any]:
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in list(operation["responses"].items()):
                content = response.get("content", {})
                if content.get("application/json", {}).get("schema") == _ADDED:
                    # FastAPI thinks of every parameter that it could refuse it; those that can be are declared.
                    del operation["responses"][status]
                if content.get("application/json", {}).get("schema") == _PROBLEM:
                    content[PROBLEM_MEDIA_TYPE] = content.pop("application/json")
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    # Named by the streams' descriptions, which FastAPI doesn't look into.
    schemas.setdefault("WireEvent", WireEvent.model_json_schema())
    return document
