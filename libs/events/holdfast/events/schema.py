"""The wire as JSON Schema 2020-12, generated from the catalogue: `python -m holdfast.events.schema`.

One definition per type, an envelope named after its model (`RunStarted`), its data beside it
(`RunStartedData`). It says what is written: fields that are always on the wire are required, empty
ones are absent and never null. It leaves every object open, since readers must let pass what a
newer writer adds; so generate TypeScript with `--additionalProperties=false`. A type that is
neither here nor `custom.` comes from a newer writer: pass it on.
"""

import sys
from typing import Any

import orjson
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from holdfast.events.catalog import CATALOG, Event
from holdfast.events.codec import WIRE_VERSION

SCHEMA_ID = f"urn:holdfast:events:v{WIRE_VERSION}"

_STRING: dict[str, Any] = {"type": "string", "minLength": 1}
_HEAD: dict[str, dict[str, Any]] = {
    "v": {"const": WIRE_VERSION, "description": "version of the wire"},
    "seq": {
        "type": "integer",
        "minimum": 1,
        "description": "place in the session's one order; the SSE id and the cursor",
    },
    "type": {},
    "session_id": _STRING,
    "ts": {
        "type": "string",
        "format": "date-time",
        "description": "the worker's clock, UTC; informative, never an order",
    },
}
_CONTEXT: dict[str, dict[str, Any]] = {
    "run_id": _STRING,
    "attempt": {"type": "integer", "minimum": 1, "description": "which worker's try at the run"},
    "agent": _STRING,
    "step": {**_STRING, "description": "key of the step within its run"},
    "lane": {**_STRING, "description": "parallel branch"},
    "parent_run_id": _STRING,
    "task_id": _STRING,
    "item_id": _STRING,
    "user_id": _STRING,
    "trace_id": {**_STRING, "description": "of the caller's or the run's trace"},
    "metadata": {"type": "object", "additionalProperties": True, "minProperties": 1},
}


class _WireSchema(GenerateJsonSchema):
    """What the codec writes of a model, with names that code generators turn into good ones."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Leave defaults out: they are on the wire, or the field is absent."""
        return self.generate_inner(schema["schema"])

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Never null: a field that is None is absent."""
        return self.generate_inner(schema["schema"])

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        """Required is what is always written: everything whose default isn't None."""
        inner: CoreSchema = field["schema"]
        if inner["type"] == "default":
            return inner.get("default") is not None or "default_factory" in inner
        return True

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Titles of fields would become types of their own."""
        return False


def export_schema() -> dict[str, Any]:
    """Return the JSON Schema of one event on the wire."""
    definitions: dict[str, Any] = {}
    names: list[str] = []
    for model in CATALOG:
        name = model.__name__
        data = _data_schema(model)
        definitions |= data.pop("$defs", {})
        definitions[f"{name}Data"] = data
        definitions[name] = _envelope(
            name, {"const": model.model_fields["type"].default}, f"{name}Data", model.__doc__ or ""
        )
        names.append(name)
    definitions["CustomEventData"] = {
        "title": "CustomEventData",
        "type": "object",
        "additionalProperties": True,
    }
    definitions["CustomEvent"] = _envelope(
        "CustomEvent",
        # `tsType` is json-schema-to-typescript's: a plain string would spoil narrowing by type.
        {
            "type": "string",
            "pattern": r"^custom(\.[a-z0-9_]+)+$",
            "maxLength": 64,
            "tsType": "`custom.${string}`",
        },
        "CustomEventData",
        "An application's own event; its data is what the registered model says.",
    )
    names.append("CustomEvent")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "HoldfastEvent",
        "description": "One event of a session as every reader gets it; `type` tells which.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in names],
        "$defs": definitions,
    }


def _data_schema(model: type[Event]) -> dict[str, Any]:
    schema = model.model_json_schema(
        by_alias=True, schema_generator=_WireSchema, mode="serialization"
    )
    del schema["properties"]["type"]
    schema["required"] = [name for name in schema.get("required", []) if name != "type"]
    schema["title"] = f"{model.__name__}Data"
    schema.pop("description", None)
    return _opened(schema)


def _opened(schema: Any) -> Any:
    """Return the schema without `additionalProperties: false`, and with any JSON value inlined."""
    if isinstance(schema, list):
        return [_opened(item) for item in schema]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(schema, dict):
        return schema
    if schema.get("$ref") == "#/$defs/JsonValue":
        return {key: value for key, value in schema.items() if key != "$ref"}
    return {
        key: _opened(value)
        for key, value in schema.items()
        if (key, value) != ("additionalProperties", False) and key != "JsonValue"
    }


def _envelope(name: str, type_: dict[str, Any], data: str, description: str) -> dict[str, Any]:
    return {
        "title": name,
        "description": description.strip(),
        "type": "object",
        "properties": {
            **_HEAD,
            "type": type_,
            **_CONTEXT,
            "data": {"$ref": f"#/$defs/{data}"},
        },
        "required": [*_HEAD, "data"],
    }


def schema_text() -> bytes:
    """Return the schema as a file: sorted, indented by two, ending in a newline."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(export_schema(), option=options)


if __name__ == "__main__":
    sys.stdout.buffer.write(schema_text())
