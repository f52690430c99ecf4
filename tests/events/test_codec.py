import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.events.catalog import CustomEvent, ErrorInfo, MessageDelta, RunCompleted, RunFailed
from holdfast.events.codec import DEPTH_MAX, EVENT_BYTES_MAX, Encoder, encode, format_ts, to_json
from holdfast.events.errors import EventInvalid, EventTooLarge
from holdfast.events.recorded import NOWHERE, Context
from tests.events.samples import CONTEXTS, EVENTS, JSON, STEP, TEXTS, TS, recorded

# Everything that ends a line for somebody: str.splitlines, terminals, JavaScript, SSE parsers.
FORBIDDEN = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")


def encoded(event: Any, context: Context = NOWHERE) -> bytes:
    return encode(event, context, session_id="s", seq=1, ts=TS)


@given(TEXTS | st.text("\x00\n\r\t\x1b\x7f\x85\u2028\u2029\\\"'/<é🜂", max_size=20))
def test_any_text_comes_back_as_it_was_and_never_breaks_a_line(text: str) -> None:
    body = encoded(MessageDelta(message_id=text, text=text), Context(agent=text))

    assert not FORBIDDEN.search(body.decode())
    assert len(body.decode().splitlines()) == 1
    found = json.loads(body)
    assert found["data"] == {"message_id": text, "text": text}
    assert found.get("agent") == (text or None)


@given(JSON)
def test_any_json_comes_back_as_it_was(value: Any) -> None:
    body = encoded(RunCompleted(result=value, duration_ms=1))

    assert json.loads(body)["data"].get("result") == value


@given(EVENTS, CONTEXTS)
def test_an_event_parsed_and_encoded_again_is_the_same_bytes(event: Any, context: Context) -> None:
    first = recorded(event, context)

    assert recorded(first.event, context).body == first.body


def test_the_fields_stand_in_one_order() -> None:
    body = encoded(MessageDelta(message_id="m", text="t"), STEP)

    assert list(orjson.loads(body)) == [
        "v",
        "seq",
        "type",
        "session_id",
        "run_id",
        "attempt",
        "ts",
        "agent",
        "step",
        "lane",
        "parent_run_id",
        "task_id",
        "item_id",
        "user_id",
        "trace_id",
        "metadata",
        "data",
    ]


def test_what_is_empty_is_absent() -> None:
    body = encoded(MessageDelta(message_id="m", text=""), Context(agent="", metadata={}))

    assert body == (
        b'{"v":1,"seq":1,"type":"message.delta","session_id":"s","ts":"2026-11-21T09:00:00.123Z",'
        b'"data":{"message_id":"m","text":""}}'
    )


def test_nothing_inside_a_value_is_lost() -> None:
    """Only fields of ours are absent when empty; a null of the application's is a value."""
    body = encoded(
        RunFailed(
            error=ErrorInfo(code="a", message="b", details={"x": None, "y": [None], "z": {}}),
            duration_ms=0,
        )
    )

    assert orjson.loads(body)["data"] == {
        "error": {
            "code": "a",
            "message": "b",
            "retryable": False,
            "details": {"x": None, "y": [None], "z": {}},
        },
        "duration_ms": 0,
    }


@pytest.mark.parametrize("surrogate", ["\ud800", "ok\udfff", "\udc00\ud800"])
def test_a_lone_surrogate_is_refused(surrogate: str) -> None:
    """Postgres, Redis and browsers disagree on what to do with one: it must not get in."""
    with pytest.raises(EventInvalid):
        encoded(RunCompleted(result={"a": surrogate}, duration_ms=1))
    with pytest.raises(EventInvalid):
        encoded(RunCompleted(result={surrogate: 1}, duration_ms=1))
    with pytest.raises(EventInvalid):
        encoded(RunCompleted(duration_ms=1), Context(metadata={"a": surrogate}))
    error = ErrorInfo(code="a", message="b", details={"a": surrogate})
    with pytest.raises(EventInvalid):
        encoded(RunFailed(error=error, duration_ms=1))


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400])
def test_an_integer_beyond_64_bits_is_refused(number: int) -> None:
    with pytest.raises(EventInvalid, match="64-bit"):
        encoded(RunCompleted(result=[number], duration_ms=1))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_becomes_null(number: float) -> None:
    body = encoded(RunCompleted(result=[number], duration_ms=1))

    assert orjson.loads(body)["data"]["result"] == [None]


class Odd(CustomEvent):
    type: Literal["custom.odd"] = "custom.odd"
    value: Any


@pytest.mark.parametrize("value", [{1, 2}, frozenset("a"), Decimal("1.5"), object(), b"bytes"])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(EventInvalid, match="not representable"):
        encoded(Odd(value=value))


@pytest.mark.parametrize("value", [{1: 2}, {None: 1}])
def test_keys_that_are_no_strings_are_refused(value: object) -> None:
    with pytest.raises(EventInvalid):
        encoded(Odd(value=value))


def _message_of(size: int) -> MessageDelta:
    overhead = len(encoded(MessageDelta(message_id="m", text="")))
    return MessageDelta(message_id="m", text="x" * (size - overhead))


def test_an_event_of_the_cap_is_written_and_a_byte_more_is_not() -> None:
    assert len(encoded(_message_of(EVENT_BYTES_MAX))) == EVENT_BYTES_MAX

    with pytest.raises(EventTooLarge, match=r"message\.delta event of 262,145 bytes") as refused:
        encoded(_message_of(EVENT_BYTES_MAX + 1))

    assert (refused.value.type, refused.value.size) == ("message.delta", EVENT_BYTES_MAX + 1)


def test_escaping_counts_towards_the_cap() -> None:
    """What is stored and sent is measured, not what was given."""
    with pytest.raises(EventTooLarge):
        encoded(MessageDelta(message_id="m", text="\u2028" * (EVENT_BYTES_MAX // 6)))


def _nested(depth: int) -> Any:
    value: Any = "]" * 200
    for level in range(depth):
        value = [value] if level % 2 else {"{[": value}
    return value


def test_values_nested_up_to_the_cap_are_written_and_deeper_ones_are_not() -> None:
    """Some clients' parsers recurse; one event must not be able to crash them."""
    assert encoded(RunCompleted(result=_nested(DEPTH_MAX), duration_ms=1))

    with pytest.raises(EventInvalid, match="deeper than 32"):
        encoded(RunCompleted(result=_nested(DEPTH_MAX + 1), duration_ms=1))


def test_many_shallow_brackets_are_not_depth() -> None:
    assert encoded(RunCompleted(result=[[]] * 1000 + ["[" * 1000, '\\"[' * 99], duration_ms=1))


@pytest.mark.parametrize(
    "ts",
    [
        TS,
        TS.astimezone(ZoneInfo("Asia/Kathmandu")),
        TS.astimezone(timezone(timedelta(hours=-8))),
        TS + timedelta(microseconds=999),
    ],
)
def test_a_time_is_told_in_utc_with_milliseconds(ts: datetime) -> None:
    assert format_ts(ts) == "2026-11-21T09:00:00.123Z"


@given(st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_times_sort_as_their_text_does(ts: datetime) -> None:
    assert format_ts(ts) < format_ts(ts + timedelta(milliseconds=1))
    assert datetime.fromisoformat(format_ts(ts)) <= ts


@given(JSON)
def test_canonical_json_is_the_same_for_equal_values(value: Any) -> None:
    assert to_json(orjson.loads(to_json(value))) == to_json(value)


@given(st.lists(st.tuples(EVENTS, CONTEXTS), min_size=1, max_size=6))
def test_a_sessions_encoder_makes_the_bytes_that_each_event_has_by_itself(given: Any) -> None:
    encoder = Encoder("s")
    # Each context twice in a row, and once more after the others: what is kept of one must not reach another's event.
    for seq, (event, context) in enumerate([*given, *reversed(given)], 1):
        for _ in range(2):
            body = encoder.encode(event, context, seq=seq, ts=TS)
            assert body == encode(event, context, session_id="s", seq=seq, ts=TS)
            assert list(json.loads(body)["data"]) == list(json.loads(to_json(event.data())))


def test_metadata_that_is_changed_between_two_events_is_told_as_it_is() -> None:
    encoder, context = Encoder("s"), Context(metadata={"n": 1})
    event = MessageDelta(message_id="m", text="t")

    first = encoder.encode(event, context, seq=1, ts=TS)
    context.metadata["n"] = 2
    second = encoder.encode(event, context, seq=2, ts=TS)

    assert (json.loads(first)["metadata"], json.loads(second)["metadata"]) == ({"n": 1}, {"n": 2})
