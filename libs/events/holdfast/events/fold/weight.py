"""What the entries of a state weigh, so that a state can be kept and sent whole however long its session is.

Weights are counted, not measured: the browser's twin counts the same without making JSON of
anything. A unit is about a byte of JSON; a character beyond ASCII may be three, a long number too.
"""

from collections.abc import Mapping
from typing import Any, cast

# The names of an entry's fields, its ids and its times: what its JSON has beside its texts.
ENTRY_WEIGHT = 256

# A number, a boolean or a null.
SCALAR_WEIGHT = 8

# The brackets of an array or an object.
BRACKETS_WEIGHT = 2


def weight(value: Any) -> int:
    """Return what a JSON value weighs: its texts and keys in UTF-16 units, as JavaScript has them."""
    if value is None or isinstance(value, int | float):
        return SCALAR_WEIGHT
    if isinstance(value, str):
        return _units(value)
    total, left = 0, [value]
    # No recursion: an event's JSON may be nested as deep as its parser goes, which is deeper than
    # Python calls.
    while left:
        part = left.pop()
        if isinstance(part, str):
            total += _units(part)
        elif isinstance(part, Mapping):
            named = cast("Mapping[str, Any]", part)
            total += BRACKETS_WEIGHT + sum(map(_units, named))
            left.extend(named.values())
        elif isinstance(part, list | tuple):
            total += BRACKETS_WEIGHT
            left.extend(cast("list[Any]", part))
        else:
            total += SCALAR_WEIGHT
    return total


def entry_weight(entry: Mapping[str, Any]) -> int:
    """Return what an entry of a table weighs."""
    return ENTRY_WEIGHT + sum(map(weight, entry.values()))


def _units(text: str) -> int:
    # ASCII says so of itself, in constant time.
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
