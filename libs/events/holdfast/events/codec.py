"""The one place where an event becomes bytes. They are made once; the store, the stream and every client get these.

Canonical form: UTF-8 JSON on one line, envelope fields in a fixed order, empty ones absent, control characters and
the line separators that some clients split on (U+0085, U+2028, U+2029) escaped.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import BaseModel

from holdfast.events.catalog.base import Event
from holdfast.events.errors import EventInvalid, EventTooLarge
from holdfast.events.recorded import Context

WIRE_VERSION = 1

# 256 KiB: 600 ordinary events; a larger one stalls every follower of its session behind it.
EVENT_BYTES_MAX = 256 * 1024

# Nested JSON deeper than this is refused at the door and here: parsers of clients recurse.
# A field of `data` may be this deep; the envelope and `data` themselves add two.
DEPTH_MAX = 32

_OPENING, _BRACKETS = b"[{", b"[]{}"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')

_SEPARATORS = (
    (b"\xc2\x85", b"\\u0085"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\x7f", b"\\u007f"),
)


def encode(event: Event, context: Context, *, session_id: str, seq: int, ts: datetime) -> bytes:
    """Return the canonical bytes of `event` as number `seq` of its session.

    Raises EventInvalid for what JSON or UTF-8 can't carry (a lone surrogate, an integer beyond 64
    bits) or what is nested deeper than DEPTH_MAX, and EventTooLarge above EVENT_BYTES_MAX. NaN and
    the infinities become null, as in browsers.
    """
    envelope: dict[str, Any] = {
        "v": WIRE_VERSION,
        "seq": seq,
        "type": event.type,
        "session_id": session_id,
    }
    for name in _CONTEXT_FIRST:
        if value := getattr(context, name):
            envelope[name] = value
    envelope["ts"] = format_ts(ts)
    for name in _CONTEXT_REST:
        if value := getattr(context, name):
            envelope[name] = value
    envelope["data"] = event.data()
    body = to_json(envelope)
    if len(body) > EVENT_BYTES_MAX:
        raise EventTooLarge(event.type, len(body), EVENT_BYTES_MAX)
    if _too_deep(body):
        raise EventInvalid(f"a {event.type} event nested deeper than {DEPTH_MAX}")
    return body


def to_json(value: Any) -> bytes:
    """Return `value` as canonical JSON. Raises EventInvalid for what JSON can't carry."""
    try:
        body = orjson.dumps(value, default=_plain)
    except (TypeError, RecursionError) as error:
        raise EventInvalid(f"not representable as JSON: {error}") from error
    for raw, escaped in _SEPARATORS:
        if raw in body:
            # Bytes of these can only stand inside a string: JSON's own grammar is ASCII.
            body = body.replace(raw, escaped)
    return body


def format_ts(ts: datetime) -> str:
    """Return `ts` in UTC with milliseconds: 2026-11-21T09:00:00.123Z."""
    return ts.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ts.microsecond // 1000:03d}Z"


_CONTEXT_FIRST = ("run_id", "attempt")
_CONTEXT_REST = (
    "agent",
    "step",
    "lane",
    "parent_run_id",
    "task_id",
    "item_id",
    "user_id",
    "trace_id",
    "metadata",
)


def _too_deep(body: bytes) -> bool:
    cap = DEPTH_MAX + 2
    # Counting is a memchr and almost always enough: few events have this many brackets at all.
    if body.count(b"[") + body.count(b"{") <= cap:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in _OPENING else -1
        if depth > cap:
            return True
    return False


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True, by_alias=True)
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, (set, frozenset)):
        raise TypeError("a set has no order; use a list")
    raise TypeError(f"{type(value).__name__} is not JSON")
