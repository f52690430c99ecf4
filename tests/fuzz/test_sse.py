"""Whatever text an event holds, every reader gets exactly it: encoded, framed, cut anywhere, and parsed twice."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holdfast.client.sse import Frame, FrameParser
from holdfast.events.catalog.message import MessageDelta
from holdfast.events.codec import encode
from holdfast.events.errors import EventInvalid
from holdfast.events.recorded import Context, RecordedEvent
from holdfast.gateway import sse
from tests.fuzz.knobs import IS_CI, times
from tests.fuzz.whatwg import Dispatched, interpret

NOW = datetime(2026, 1, 2, tzinfo=UTC)

# Where readers disagree about what a line, a text or a character is, thrown in far more often than chance would.
NASTY = [
    *(
        "\r",
        "\n",
        "\r\n",
        "\n\n",
        "\r\r",
        "\0",
        "\x85",
        "\u2028",
        "\u2029",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x7f",
    ),
    *("\x1b[2J", "\ufeff", "\ufffd", "\U0001f642", "\U0010ffff", "\u200d", "e\u0301", "\u202e"),
    *(
        "data: x",
        "\n\nevent: reset\nid: 9\ndata: {}\n\n",
        "\nid: 99",
        ": hb",
        "retry: 1",
        "</script>",
    ),
    *('"', "\\", "\\u0000", "\\ud800", "%00", "'", " ", ""),
]
STORABLE = st.text(st.characters(exclude_categories=["Cs"]))
TEXTS = st.lists(st.one_of(st.sampled_from(NASTY), STORABLE), max_size=8).map("".join)

# Streams of foreign servers, whatever they may send.
BLOBS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    b"\r",
                    b"\n",
                    b"\r\n",
                    b":",
                    b": ",
                    b"data",
                    b"data:",
                    b"data: x",
                    b"id:",
                    b"id: 7",
                ),
                *(
                    b"id: 1\0",
                    b"event: e",
                    b"event",
                    b"retry: 5",
                    b"retry: 5x",
                    b"retry:",
                    b"retry",
                ),
                *(
                    b"\xef\xbb\xbf",
                    b"\xff",
                    b"\xc3",
                    b"\0",
                    b"  ",
                    b"x: y",
                    b"\xe2\x80\xa8",
                    b"\x85",
                ),
            ]
        ),
        st.binary(max_size=3),
    ),
    max_size=30,
).map(b"".join)

ci = settings(
    max_examples=times(2000),
    deadline=None,
    derandomize=IS_CI,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def encoded(text: str, seq: int) -> RecordedEvent:
    body = encode(
        MessageDelta(message_id="m", text=text), Context(), session_id="s", seq=seq, ts=NOW
    )
    return RecordedEvent(seq, "message.delta", None, body)


def fed(blob: bytes, cuts: Sequence[int]) -> tuple[list[Frame], FrameParser]:
    """Return what our parser makes of `blob` in these pieces."""
    parser = FrameParser()
    edges = [0, *sorted(cuts), len(blob)]
    frames: list[Frame] = []
    for begin, end in pairwise(edges):
        frames += parser.feed(blob[begin:end])
    return frames, parser


def as_dispatched(frames: Sequence[Frame]) -> list[Dispatched]:
    """Return what a browser would have dispatched of our parser's frames."""
    told: list[Dispatched] = []
    last_id = ""
    for frame in frames:
        last_id = last_id if frame.id is None else frame.id
        # The standard drops what has no data line; one that is empty is dispatched.
        if frame.data is not None:
            data = frame.data.decode(errors="replace")
            told.append(Dispatched(frame.event or "message", data, last_id))
    return told


@ci
@given(texts=st.lists(TEXTS, min_size=1, max_size=3), data=st.data())
@example(texts=["".join(NASTY)], data=None)
def test_a_text_comes_out_as_it_went_in(texts: list[str], data: st.DataObject | None):
    """Through the codec, the gateway's frame, any cuts, our client's parser and a browser's; and no frame breaks."""
    events = [encoded(text, seq) for seq, text in enumerate(texts, 1)]
    blob = sse.retry(1500) + sse.HEARTBEAT.join(map(sse.frame, events)) + sse.id_only(len(texts))
    cuts = (
        range(len(blob))
        if data is None
        else data.draw(st.lists(st.integers(0, len(blob)), max_size=6))
    )

    frames, parser = fed(blob, cuts)
    browser = interpret(blob)

    got = [frame.data for frame in frames if frame.data is not None]
    assert got == [event.body for event in events]
    assert [json.loads(body)["data"]["text"] for body in got] == texts
    assert [(e.type, e.data.encode()) for e in browser.events] == [
        ("message", event.body) for event in events
    ]
    assert parser.last_id == browser.last_event_id == str(len(texts))
    assert parser.retry_ms == browser.retry_ms == 1500


@settings(ci, max_examples=times(150))
@given(texts=st.lists(TEXTS, min_size=1, max_size=2))
def test_where_the_bytes_are_cut_changes_nothing(texts: list[str]):
    """Byte by byte, and in two pieces at every place."""
    blob = b"".join(sse.frame(encoded(text, seq)) for seq, text in enumerate(texts, 1))
    whole, _ = fed(blob, [])

    assert fed(blob, range(len(blob)))[0] == whole
    for cut in range(len(blob)):
        assert fed(blob, [cut])[0] == whole


@ci
@given(blob=BLOBS, data=st.data())
def test_any_bytes_at_all_are_read_as_a_browser_reads_them(blob: bytes, data: st.DataObject):
    frames, parser = fed(blob, data.draw(st.lists(st.integers(0, len(blob)), max_size=6)))
    browser = interpret(blob)

    assert as_dispatched(frames) == browser.events
    assert parser.last_id == browser.last_event_id
    assert parser.retry_ms == browser.retry_ms
    assert fed(blob, range(len(blob)))[0] == frames


@settings(ci, max_examples=times(100))
@given(before=TEXTS, code=st.integers(0xD800, 0xDFFF), after=TEXTS)
def test_half_a_character_is_refused_before_it_is_recorded(before: str, code: int, after: str):
    """It can't be written as UTF-8; an event with one would be unreadable for ever."""
    with pytest.raises(EventInvalid):
        encoded(before + chr(code) + after, 1)


@settings(ci, max_examples=times(100))
@given(text=TEXTS)
def test_a_body_has_no_character_that_any_reader_takes_for_a_line_end(text: str):
    """Not every parser out there knows that only CR and LF are: `splitlines` takes ten others for one."""
    body = encoded(text, 1).body.decode()

    assert len(body.splitlines()) == 1
    assert not any(
        ord(character) < 0x20 or character in "\x7f\x85\u2028\u2029" for character in body
    )
