"""What comes over the wire is read strictly, whatever the chunks."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from holdfast.verify.frames import FRAME_BYTES_MAX, FrameReader
from holdfast.verify.history import Got, Seen
from holdfast.verify.log import digest_of
from tests.client.scripted import body, control, frame

STREAM = (
    b"retry: 1700\n\n"
    + frame(1)
    + b": hb\n\n"
    + b"id: 4\n\n"
    + control("caught-up", head=4)
    + frame(5)
    + b'event: reset\nid: 9\ndata: {"reason":"ahead"}\n\n'
)


def read(*chunks: bytes) -> list[Seen]:
    reader = FrameReader("s")
    return [seen for chunk in chunks for seen in reader.feed(chunk, 0.0)]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_frames_are_the_same_however_they_are_cut_into_chunks(cuts: list[int]):
    edges = [0, *sorted(cuts), len(STREAM)]

    seen = read(*(STREAM[a:b] for a, b in pairwise(edges)))

    assert [(one.kind, one.seq, one.live) for one in seen] == [
        (Got.EVENT, 1, False),
        (Got.ID, 4, False),
        (Got.CONTROL, 0, False),
        (Got.EVENT, 5, True),
        (Got.RESET, 9, False),
    ]
    assert seen[0].digest == digest_of(body(1))


def test_a_frame_that_was_cut_off_is_never_handed_out():
    assert read(frame(1)[:-1]) == []


def test_an_event_of_another_session_is_named():
    foreign = frame(1).replace(b'"session_id":"s"', b'"session_id":"t"')

    assert [seen.session for seen in read(foreign, frame(2))] == ["t", None]


def test_what_is_no_frame_of_the_protocol_is_broken():
    for bad in (
        b"id: 1\r\ndata: {}\n\n",
        b"id: 1\nid: 2\ndata: {}\n\n",
        b"id: 1\ndata: {\ndata: }\n\n",
        b"id: x\ndata: {}\n\n",
        b"id: 99999999999999999999\n\n",
        b"data: {}\n\n",
        b"event: caught-up\nid: 3\ndata: {}\n\n",
        b"colour: red\n\n",
        b"id\n\n",
    ):
        assert [seen.kind for seen in read(bad)] == [Got.BROKEN], bad


def test_a_frame_without_an_end_is_not_held_for_ever():
    assert [seen.kind for seen in read(b"x" * (FRAME_BYTES_MAX + 1))] == [Got.BROKEN]


def test_bytes_that_are_no_json_are_an_event_with_a_digest():
    """Whether they are the right bytes is for the log to say."""
    [seen] = read(b"id: 1\ndata: {nonsense\n\n")

    assert (seen.kind, seen.digest) == (Got.EVENT, digest_of(b"{nonsense"))
