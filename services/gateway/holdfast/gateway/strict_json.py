"""JSON as it is accepted at the door: one meaning only, and nothing in it that a later part would choke on.

Refused are duplicate keys (which one counts depends on the reader), NaN and infinities (not JSON), integers beyond
64 bits (browsers round them), lone surrogates (not Unicode), U+0000 (Postgres' text can't hold it) and deep nesting.
"""

import json
import math
import re
from typing import Any, NoReturn

from holdfast.events.codec import DEPTH_MAX

_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class NotStrictJson(ValueError):
    """The text is not JSON, or JSON that different readers would read differently."""


def check_strict_json(text: str) -> None:
    """Raise NotStrictJson, with a sentence for the caller, unless `text` is acceptable JSON."""
    try:
        value = _DECODER.decode(text)
    except NotStrictJson:
        raise
    except RecursionError:
        raise NotStrictJson(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise NotStrictJson(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except ValueError:  # an integer of thousands of digits
        raise NotStrictJson("an integer is beyond 64 bits") from None
    _check_values(value)


_TOO_DEEP = f"nested deeper than {DEPTH_MAX} levels"


def _check_values(value: Any) -> None:
    # Level by level: the depth of what callers send must not be the depth of our calls. And with a list's own loops:
    # 256 KB of `[],` are 87,000 values, which took 100 ms one by one, and take 15.
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += 1
        objects: list[dict[str, Any]] = [item for item in level if type(item) is dict]
        arrays: list[list[Any]] = [item for item in level if type(item) is list]
        if depth > DEPTH_MAX and (objects or arrays):
            raise NotStrictJson(_TOO_DEEP)
        texts = [item for item in level if type(item) is str]
        texts += [key for item in objects for key in item]
        _check_text("".join(texts))
        level = [child for item in objects for child in item.values()]
        level += [child for item in arrays for child in item]


def _check_text(text: str) -> None:
    if found := _UNSTORABLE.search(text):
        what = "U+0000" if found[0] == "\0" else f"the lone surrogate U+{ord(found[0]):04X}"
        raise NotStrictJson(f"a string holds {what}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise NotStrictJson(f"the key {key[:64]!a} stands twice in one object")
            seen.add(key)
    return result


def _constant(name: str) -> NoReturn:
    raise NotStrictJson(f"{name} is not JSON")


def _int(text: str) -> int:
    number = int(text)
    if not _INT_MIN <= number <= _INT_MAX:
        raise NotStrictJson("an integer is beyond 64 bits")
    return number


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NotStrictJson(f"the number {text[:40]} is beyond what a double can hold")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_int, parse_float=_float
)
