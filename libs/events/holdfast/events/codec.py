"""The one place where an event becomes bytes. They are made once; the store, the stream and every client get these.

Canonical form: UTF-8 JSON on one line, envelope fields in a fixed order, empty ones absent, control characters and
the line separators that some clients split on (U+0085, U+2028, U+2029) escaped.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
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

_DELETE = b"\x7f"
_SEPARATORS = (
    (b"\xc2\x85", b"\\u0085"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (_DELETE, b"\\u007f"),
)


class Encoder:
    """Makes the bytes of one session's events; what is the same from event to event is encoded once."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        # Of the last context, by identity: a run emits thousands of events from one place.
        self._context: Context | None = None
        self._before_ts = self._after_ts = b""

    def encode(self, event: Event, context: Context, *, seq: int, ts: datetime) -> bytes:
        """Return the canonical bytes of `event` as number `seq` of its session; see the function of this name."""
        if context is not self._context:
            self._learn(context)
        body = b'{"v":%d,"seq":%d,"type":%b,"session_id":%b"%b"%b,"data":%b}' % (
            WIRE_VERSION,
            seq,
            _type_json(event.type),
            self._before_ts,
            _ts_bytes(ts),
            self._after_ts,
            to_json(event.data()),
        )
        if len(body) > EVENT_BYTES_MAX:
            raise EventTooLarge(event.type, len(body), EVENT_BYTES_MAX)
        if _too_deep(body):
            raise EventInvalid(f"a {event.type} event nested deeper than {DEPTH_MAX}")
        return body

    def _learn(self, context: Context) -> None:
        self._before_ts = b'%b%b,"ts":' % (
            to_json(self._session_id),
            _fields(context, _CONTEXT_FIRST),
        )
        self._after_ts = _fields(context, _CONTEXT_REST)
        # Metadata may be changed in place, by whoever made it.
        self._context = None if context.metadata else context


def encode(event: Event, context: Context, *, session_id: str, seq: int, ts: datetime) -> bytes:
    """Return the canonical bytes of `event` as number `seq` of its session.

    Raises EventInvalid for what JSON or UTF-8 can't carry (a lone surrogate, an integer beyond 64
    bits) or what is nested deeper than DEPTH_MAX, and EventTooLarge above EVENT_BYTES_MAX. NaN and
    the infinities become null, as in browsers.
    """
    return Encoder(session_id).encode(event, context, seq=seq, ts=ts)


def to_json(value: Any) -> bytes:
    """Return `value` as canonical JSON. Raises EventInvalid for what JSON can't carry."""
    try:
        body = orjson.dumps(value, default=_plain)
    except (TypeError, RecursionError) as error:
        raise EventInvalid(f"not representable as JSON: {error}") from error
    if body.isascii():
        return body.replace(_DELETE, b"\\u007f") if _DELETE in body else body
    for raw, escaped in _SEPARATORS:
        if raw in body:
            # Bytes of these can only stand inside a string: JSON's own grammar is ASCII.
            body = body.replace(raw, escaped)
    return body


def format_ts(ts: datetime) -> str:
    """Return `ts` in UTC with milliseconds: 2026-11-21T09:00:00.123Z."""
    return _ts_bytes(ts).decode()


def _ts_bytes(ts: datetime) -> bytes:
    if ts.tzinfo is not UTC:
        ts = ts.astimezone(UTC)
    # Eight times as fast as strftime. Without its microseconds, of which there may be none: "2026-11-21T09:00:00…
    return b"%b.%03dZ" % (orjson.dumps(ts)[1:20], ts.microsecond // 1000)


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


# Every type is in there once; an application has dozens.
@lru_cache(maxsize=1024)
def _type_json(type_: str) -> bytes:
    return to_json(type_)


def _fields(context: Context, names: tuple[str, ...]) -> bytes:
    """Return these fields as they stand inside an object, each with its comma ahead; empty ones are absent."""
    given = {name: value for name in names if (value := getattr(context, name))}
    return b",%b" % to_json(given)[1:-1] if given else b""


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
