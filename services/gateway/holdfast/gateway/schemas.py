"""Values against JSON Schema 2020-12, with bounds: errors are counted, validators kept, nothing is fetched."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from holdfast.gateway.problems import ERRORS_MAX, field_error

# A schema per workflow and per pending input: 256 compiled ones of ~20 KB stay under 5 MB.
VALIDATORS_MAX = 256


class SchemaBroken(ValueError):
    """The schema itself is not one: whoever wrote it has to mend it."""


def schema_errors(
    schema: Mapping[str, Any], value: Any, *, at: tuple[str, ...]
) -> list[dict[str, str]]:
    """Return what is wrong with `value`, at most ERRORS_MAX entries that point below `at`; empty means valid.

    Raises SchemaBroken when the schema is invalid or refers to something outside itself.
    """
    validator = _validator(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS, default=dict))
    try:
        errors = list(islice(validator.iter_errors(value), ERRORS_MAX))
    except Unresolvable as error:
        raise SchemaBroken(f"refers to {error.ref!r}, which it does not hold") from error
    except RecursionError as error:
        raise SchemaBroken("refers to itself without an end") from error
    return [
        field_error("body", [*at, *error.absolute_path, *_missing(error)], error.message)
        for error in errors
    ]


def _missing(error: Any) -> list[str]:
    """Return the name of the required field that isn't there: the error itself points at its parent."""
    if error.validator == "required" and isinstance(error.instance, Mapping):
        for name in error.validator_value:
            if name not in error.instance and repr(name) in error.message:
                return [name]
    return []


@lru_cache(maxsize=VALIDATORS_MAX)
def _validator(schema_json: bytes) -> Draft202012Validator:
    schema = orjson.loads(schema_json)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise SchemaBroken(error.message) from error
    # An empty registry: a `$ref` to another host must not make this process fetch it.
    return Draft202012Validator(schema, registry=Registry())
