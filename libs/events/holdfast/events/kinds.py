"""Questions that a reader asks of an event's type, and filters made of them."""

from collections.abc import Iterable

from holdfast.events.catalog import MODELS, TERMINAL_TYPES
from holdfast.events.catalog.custom import TYPE_LENGTH_MAX

# A filter names at most this many types or families: more is the whole catalogue.
FILTER_TYPES_MAX = 64


def family(type_: str) -> str:
    """Return the family of a type: `tool` for `tool.started`."""
    return type_.partition(".")[0]


def is_terminal(type_: str) -> bool:
    """Tell whether a run ends with this event."""
    return type_ in TERMINAL_TYPES


def is_tool_call(type_: str) -> bool:
    """Tell whether the event is part of a tool call."""
    return family(type_) == "tool"


def is_reasoning(type_: str) -> bool:
    """Tell whether the event is part of a model's thinking."""
    return family(type_) == "reasoning"


def is_message(type_: str) -> bool:
    """Tell whether the event is a message or a piece of one."""
    return family(type_) == "message"


def is_delta(type_: str) -> bool:
    """Tell whether the event is a piece of text that a later event brings whole."""
    return type_.endswith(".delta")


def is_failure(type_: str) -> bool:
    """Tell whether the event reports an error."""
    return type_.endswith(".failed")


def is_component(type_: str) -> bool:
    """Tell whether the event shows a piece of generated interface."""
    return type_ == "component.rendered"


class TypeFilter:
    """A set of types and families (`message.*`), as clients ask for them with `types=`.

    The empty filter passes everything. An unknown type is no error: it may be a newer writer's.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        chosen = [name.strip() for name in names if name.strip()]
        if len(chosen) > FILTER_TYPES_MAX or any(len(name) > TYPE_LENGTH_MAX for name in chosen):
            raise ValueError(
                f"a filter takes at most {FILTER_TYPES_MAX} types of {TYPE_LENGTH_MAX} characters"
            )
        if any(name.endswith(".*") and "." in name[:-2] for name in chosen):
            raise ValueError("a family is one word and `.*`, such as message.* or custom.*")
        self.families = frozenset(name[:-2] for name in chosen if name.endswith(".*"))
        self.types = frozenset(name for name in chosen if not name.endswith(".*"))

    def __bool__(self) -> bool:
        return bool(self.types or self.families)

    def passes(self, type_: str) -> bool:
        """Tell whether an event of this type is wanted."""
        return not self or type_ in self.types or family(type_) in self.families

    @classmethod
    def parse(cls, text: str | None) -> "TypeFilter":
        """Read the comma-separated form. Raises ValueError when there are too many or too long names."""
        return cls((text or "").split(","))


KNOWN_TYPES = frozenset(MODELS)
