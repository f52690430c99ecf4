"""A state as JSON: what `GET /state` answers and what snapshots keep."""

from collections import deque
from collections.abc import Mapping
from typing import Any, cast

import orjson

from holdfast.events import codec
from holdfast.events.fold.state import NOTIFICATIONS_MAX, TABLES, State, Table

# Raised when the same events would fold into another state; snapshots of other versions are then
# of no use.
FOLD_VERSION = 2

_PLAIN_FIELDS = ("seq", "session", "stage", "progress", "checkpoint")


def to_plain(state: State) -> dict[str, Any]:
    """Return the state as a JSON object, tables as lists.

    It shares values with the state: read it, don't keep it.
    """
    plain: dict[str, Any] = {"fold_version": FOLD_VERSION}
    for name in _PLAIN_FIELDS:
        plain[name] = getattr(state, name)
    plain["shared"] = state.shared
    plain["notifications"] = list(state.notifications)
    forgotten: dict[str, int] = {}
    for name in TABLES:
        table = cast("Table[Any]", getattr(state, name))
        plain[name] = list(table.all.values())
        if table.forgotten:
            forgotten[name] = table.forgotten
    plain["forgotten"] = forgotten
    return plain


def from_plain(plain: Mapping[str, Any]) -> State:
    """Return the state that `to_plain` told of, taking its values over.

    Raises ValueError for another fold version.
    """
    if plain.get("fold_version") != FOLD_VERSION:
        raise ValueError(
            f"a state of fold version {plain.get('fold_version')}; this one is {FOLD_VERSION}"
        )
    state = State()
    for name in _PLAIN_FIELDS:
        setattr(state, name, plain[name])
    state.share(plain["shared"])
    state.notifications = deque(plain["notifications"], NOTIFICATIONS_MAX)
    for name in TABLES:
        table = cast("Table[Any]", getattr(state, name))
        for entry in plain[name]:
            table.put(entry)
        table.forgotten = plain["forgotten"].get(name, 0)
    return state


def to_json(state: State) -> bytes:
    """Return the state as canonical JSON: equal states give equal bytes."""
    return codec.to_json(to_plain(state))


def from_json(body: bytes) -> State:
    """Return the state of `to_json`. Raises ValueError for another fold version or no JSON."""
    return from_plain(orjson.loads(body))
