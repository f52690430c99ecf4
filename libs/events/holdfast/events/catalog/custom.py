"""Types of an application's own, under `custom.`, with models that the application registers."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import JsonValue

from holdfast.events.catalog.base import Event

# Also the form of every type of ours: lower case, dotted, at most 64 characters.
TYPE_FORM = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+", re.ASCII)
TYPE_LENGTH_MAX = 64

_registered: dict[str, type["CustomEvent"]] = {}


class CustomEvent(Event):
    """The base of an application's own events: fix `type` to a literal under `custom.` and add fields.

    @register_custom
    class InvoicePaid(CustomEvent):
        type: Literal["custom.invoice.paid"] = "custom.invoice.paid"
        amount_cents: int
    """


CustomModel = TypeVar("CustomModel", bound=type[CustomEvent])


def register_custom(model: CustomModel) -> CustomModel:
    """Make `model` the one that its type is parsed into. Raises ValueError for a name that isn't its to take."""
    type_ = model.model_fields["type"].default
    if not isinstance(type_, str) or not type_.startswith("custom."):
        raise ValueError(
            f"{model.__name__}: `type` must default to a literal that begins with 'custom.'"
        )
    check_type_name(type_)
    # A module that is imported anew brings the same class again; another module's namesake is not it.
    known = _registered.get(type_, model)
    if (known.__module__, known.__qualname__) != (model.__module__, model.__qualname__):
        raise ValueError(
            f"{type_} is already registered as {known.__module__}.{known.__qualname__}"
        )
    _registered[type_] = model
    return model


def custom_model(type_: str) -> type[CustomEvent] | None:
    """Return the model registered for `type_`, if any."""
    return _registered.get(type_)


def check_type_name(type_: str) -> None:
    """Raise ValueError unless `type_` has the form of an event type."""
    if len(type_) > TYPE_LENGTH_MAX or not TYPE_FORM.fullmatch(type_):
        raise ValueError(
            f"{type_[:80]!r} is no event type: lower-case words joined by dots, at most {TYPE_LENGTH_MAX} characters"
        )


class UnknownEvent(Event):
    """An event of a type that this version doesn't know (newer, or custom without a model): passed on untouched."""

    fields: dict[str, JsonValue]

    def data(self) -> Mapping[str, Any]:
        """Return the fields as they were received."""
        return self.fields
