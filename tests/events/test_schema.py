"""The published schema says what is really on the wire, no less and no more."""

import copy
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from holdfast.events.catalog import CATALOG, MODELS, UnknownEvent
from holdfast.events.schema import export_schema, schema_text
from tests.events.golden import GOLDEN
from tests.events.samples import CONTEXTS, EVENTS, SAMPLES, recorded

PUBLISHED = Path(__file__).parents[2] / "docs" / "events.v1.schema.json"
SCHEMA = export_schema()
WHOLE = Draft202012Validator(SCHEMA)


def _closed(schema: Any) -> Any:
    """The same schema, refusing whatever it doesn't name."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        closed["additionalProperties"] = False
    return closed


CLOSED = {
    type_: Draft202012Validator(
        {"$ref": f"#/$defs/{model.__name__}", "$defs": _closed(SCHEMA["$defs"])}
    )
    for type_, model in MODELS.items()
}


def test_the_published_schema_is_current() -> None:
    """`python -m holdfast.events.schema > docs/events.v1.schema.json` makes it so."""
    assert PUBLISHED.read_bytes() == schema_text()


def test_the_schema_is_valid_and_has_an_envelope_and_data_for_every_type() -> None:
    Draft202012Validator.check_schema(SCHEMA)

    names = [ref["$ref"].rpartition("/")[2] for ref in SCHEMA["oneOf"]]
    assert names == [model.__name__ for model in CATALOG] + ["CustomEvent"]
    for name in names:
        assert SCHEMA["$defs"][name]["title"] == name
        assert SCHEMA["$defs"][f"{name}Data"]["title"] == f"{name}Data"


def test_only_types_have_titles() -> None:
    """A titled field would become a type of its own in generated code."""
    found: list[str] = []

    def walk(schema: Any, inside: str) -> None:
        if isinstance(schema, dict):
            if isinstance(schema.get("title"), str) and schema["title"] != inside:
                found.append(schema["title"])
            for key, value in schema.items():
                if key != "properties":
                    walk(value, inside)
                else:
                    for field in value.values():
                        walk(field, inside)

    for name, definition in SCHEMA["$defs"].items():
        walk(definition, name)

    assert found == []


@pytest.mark.parametrize(("event", "context"), SAMPLES, ids=[e.type for e, _ in SAMPLES])
def test_a_full_event_of_every_type_is_valid(event, context) -> None:
    envelope = recorded(event, context).envelope

    WHOLE.validate(envelope)
    CLOSED[event.type].validate(envelope)


@given(EVENTS, CONTEXTS)
def test_any_event_is_valid_and_has_nothing_that_the_schema_does_not_name(event, context) -> None:
    CLOSED[event.type].validate(recorded(event, context).envelope)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("v1/*.json")), ids=lambda p: p.stem)
def test_golden_lines_are_valid(path) -> None:
    WHOLE.validate(orjson.loads(path.read_bytes()))


@pytest.mark.parametrize(("event", "context"), SAMPLES, ids=[e.type for e, _ in SAMPLES])
def test_what_is_required_is_required(event, context) -> None:
    """Every field that the schema calls required is missed when it is gone."""
    envelope = recorded(event, context).envelope
    name = MODELS[event.type].__name__
    schema = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})

    for field in SCHEMA["$defs"][name]["required"]:
        assert not schema.is_valid({k: v for k, v in envelope.items() if k != field}), field
    for field in SCHEMA["$defs"][f"{name}Data"]["required"]:
        poorer = copy.deepcopy(envelope)
        del poorer["data"][field]
        assert not schema.is_valid(poorer), field


def test_fields_of_a_newer_writer_are_valid() -> None:
    event, context = SAMPLES[0]
    envelope = recorded(event, context).envelope

    WHOLE.validate({**envelope, "new": 1, "data": {**envelope["data"], "newer": 2}})


def test_custom_events_are_valid_and_other_unknown_types_are_not_ours() -> None:
    custom = recorded(UnknownEvent(type="custom.invoice.paid", fields={"cents": 5})).envelope

    WHOLE.validate(custom)
    assert not WHOLE.is_valid({**custom, "type": "run.teleported"})
    assert not WHOLE.is_valid({**custom, "type": "custom.Nope"})
