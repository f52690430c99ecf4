"""Breaking a connection off, or closing it after its response: ASGI has no message for either."""

import functools
from collections.abc import Callable
from typing import Any

# Middleware wraps `send` in closures; a chain longer than this is not one that we know how to walk.
_WRAPPERS_MAX = 32


def find_abort(send: object) -> Callable[[], object] | None:
    """Return what aborts the connection behind an ASGI `send`; None when the server doesn't show its transport.

    No server promises this: under uvicorn `send` is a method of an object with a `transport`, maybe wrapped in
    closures by middleware. So it is looked for and, when it isn't there, done without.
    """
    abort = getattr(getattr(find_owner(send), "transport", None), "abort", None)
    return abort if callable(abort) else None


def close_afterwards(send: object) -> None:
    """Have the connection behind an ASGI `send` closed when its response is complete, though its headers are sent.

    HTTP/1.1 allows it at any time, and a client that connects anew may land on another replica. Done without where
    the server doesn't show how.
    """
    owner = find_owner(send)
    if isinstance(getattr(owner, "keep_alive", None), bool):
        owner.keep_alive = False


def find_owner(send: object) -> Any:
    """Return the server's object whose method `send` is, at the bottom of all wrapping; None if it isn't found."""
    queue: list[Any] = [send]
    seen: set[int] = set()
    while queue and len(seen) < _WRAPPERS_MAX:
        candidate = queue.pop(0)
        if id(candidate) in seen:
            continue
        seen.add(id(candidate))
        owner = getattr(candidate, "__self__", None)
        if hasattr(owner, "transport"):
            return owner
        queue += _wrapped(candidate, owner)
    return None


def _wrapped(candidate: Any, owner: Any) -> list[Any]:
    """Return the callables that this one may call: what it closes over, or an attribute named `send`."""
    if isinstance(candidate, functools.partial):
        return [candidate.func, *candidate.args]
    found: list[Any] = []
    function = getattr(candidate, "__func__", candidate)
    for cell in getattr(function, "__closure__", None) or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not yet filled
            continue
        if callable(content):
            found.append(content)
    for holder in (owner, candidate):
        inner = getattr(holder, "send", None) or getattr(holder, "_send", None)
        if callable(inner):
            found.append(inner)
    return found
