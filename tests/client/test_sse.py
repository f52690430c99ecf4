import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client.sse import FRAME_BYTES_MAX, Frame, FrameParser, FrameTooLarge

# Mostly what matters to the grammar, so that short examples are interesting ones.
ALPHABET = st.sampled_from(
    [*"\n\r: 07x\0", "\r\n", "\n\n", "data:", "id:", "event:", "retry:", "ü", "\u2028"]
)
STREAMS = st.lists(ALPHABET | st.characters(codec="utf-8"), max_size=40).map(
    lambda parts: "".join(parts).encode()
)


def parse(stream: bytes) -> list[Frame]:
    return FrameParser().feed(stream)


def parse_in(chunks: list[bytes]) -> tuple[list[Frame], str, int | None]:
    parser = FrameParser()
    frames = [frame for chunk in chunks for frame in parser.feed(chunk)]
    return frames, parser.last_id, parser.retry_ms


@given(STREAMS)
def test_a_stream_that_comes_byte_by_byte_gives_the_frames_of_one_that_comes_whole(
    stream: bytes,
):
    bytewise = [stream[n : n + 1] for n in range(len(stream))]

    assert parse_in(bytewise) == parse_in([stream])


@given(STREAMS, st.data())
def test_where_a_stream_is_cut_into_chunks_makes_no_difference(stream: bytes, data: st.DataObject):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert parse_in(chunks) == parse_in([stream])


@given(st.binary(max_size=60))
def test_no_bytes_at_all_upset_the_parser(stream: bytes):
    bytewise = [stream[n : n + 1] for n in range(len(stream))]

    assert parse_in(bytewise) == parse_in([stream])


LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n")).map(str.encode)


@given(
    st.lists(st.tuples(st.integers(0, 2**63 - 1), st.lists(LINES, min_size=1, max_size=3))),
    st.sampled_from([b"\n", b"\r", b"\r\n"]),
)
def test_what_was_framed_is_what_comes_out_with_every_line_end(
    events: list[tuple[int, list[bytes]]], end: bytes
):
    """U+0085, U+2028 and their like stand inside a line and end none."""
    stream = b"".join(
        b"id: %d" % seq + end + b"".join(b"data: " + line + end for line in lines) + end
        for seq, lines in events
    )

    frames = [Frame(id=str(seq), data=b"\n".join(lines)) for seq, lines in events]
    assert parse(stream) == frames
    assert parse_in([stream[n : n + 1] for n in range(len(stream))])[0] == frames


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        (b"data: a\n\n", [Frame(data=b"a")]),
        (b"data:a\n\n", [Frame(data=b"a")]),
        (b"data:  a\n\n", [Frame(data=b" a")]),
        (b"data\n\n", [Frame(data=b"")]),
        (b"data: a\ndata:\ndata: b\n\n", [Frame(data=b"a\n\nb")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Frame(data=b"a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Frame(data=b"a")]),
        (b": heartbeat\n\n", []),
        (b"\n\n\n", []),
        (b"data: unfinished\n", []),
        (b"data: unfinished", []),
        (b"id: 7\n\n", [Frame(id="7")]),
        (b"id\n\n", [Frame(id="")]),
        (b"id: 7\0\ndata: a\n\n", [Frame(data=b"a")]),
        (b"event: reset\ndata: {}\n\n", [Frame(event="reset", data=b"{}")]),
        (b"event:\ndata: a\n\n", [Frame(data=b"a")]),
        (b"event: a\n\ndata: b\n\n", [Frame(event="a"), Frame(data=b"b")]),
        (b"Data: a\nunknown: b\nnonsense\n\n", []),
        (b"data: a:b: c\n\n", [Frame(data=b"a:b: c")]),
        (b"id: 1\rdata: a\r\rid: 2\r\n\r\n", [Frame(id="1", data=b"a"), Frame(id="2")]),
    ],
)
def test_each_rule_of_the_grammar(stream: bytes, frames: list[Frame]):
    assert parse(stream) == frames


@pytest.mark.parametrize(
    ("stream", "retry_ms"),
    [
        (b"retry: 1500\n", 1500),
        (b"retry: 007\n", 7),
        (b"retry: 1.5\n", None),
        (b"retry: -1\n", None),
        (b"retry:\n", None),
        (b"retry: 10\nretry: nonsense\n", 10),
        (b"retry: " + b"9" * 5000 + b"\n", 10**12 - 1),
        ("retry: ٣\n".encode(), None),
    ],
)
def test_a_retry_is_ascii_digits_and_holds_from_its_line_end(stream: bytes, retry_ms: int | None):
    assert parse_in([stream])[2] == retry_ms


def test_the_last_id_is_the_one_of_the_last_finished_frame():
    assert parse_in([b"id: 3\n\ndata: a\n\nid: 4\ndata: b\n"])[1] == "3"


def test_a_frame_without_end_is_refused_before_it_fills_the_memory():
    with pytest.raises(FrameTooLarge):
        parse_in([b"x" * 1024] * (FRAME_BYTES_MAX // 1024 + 2))


def test_many_short_lines_without_end_are_refused_too():
    with pytest.raises(FrameTooLarge):
        parse_in([b"data: " + b"x" * 1018 + b"\n"] * (FRAME_BYTES_MAX // 1024 + 2))


def test_heartbeats_without_blank_lines_never_add_up_to_a_frame():
    parser = FrameParser()

    for _ in range(FRAME_BYTES_MAX // 512):
        parser.feed(b":" + b"x" * 1022 + b"\n")

    assert parser.feed(b"data: a\n\n") == [Frame(data=b"a")]
