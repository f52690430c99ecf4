"""Frames, byte for byte."""

import pytest

from holdfast.events.recorded import RecordedEvent
from holdfast.gateway import sse
from tests.gateway.fakes import recorded


# protocol P8
def test_an_event_is_sent_as_its_id_and_its_body_verbatim():
    event = RecordedEvent(12, "x.y", None, b'{"a": 1,"a":2}')

    assert sse.frame(event) == b'id: 12\ndata: {"a": 1,"a":2}\n\n'


def test_the_body_can_be_taken_out_of_a_frame_again():
    """Also when the body holds what looks like the beginning of one."""
    event = RecordedEvent(3, "x.y", None, b'{"a":"\\ndata: no"}')

    assert sse.body_of(sse.frame(event)) == event.body


@pytest.mark.parametrize("body", [b'{"a":\n1}', b'{"a":\r1}'])
def test_a_body_of_two_lines_is_never_sent(body: bytes):
    with pytest.raises(ValueError, match="not one line"):
        sse.frame(RecordedEvent(1, "x.y", None, body))


def test_an_id_only_frame_has_nothing_but_the_id():
    assert sse.id_only(41) == b"id: 41\n\n"


# protocol P8
def test_control_frames_are_named_and_leave_the_cursor_alone():
    assert sse.control("caught-up", {"head": 7}) == b'event: caught-up\ndata: {"head":7}\n\n'


# protocol P8
def test_a_reset_is_the_control_frame_that_moves_the_cursor():
    frame = sse.reset(9, "retention", earliest=10)

    assert frame == b'event: reset\nid: 9\ndata: {"reason":"retention","earliest":10}\n\n'


def test_the_other_frames_are_what_the_standard_says():
    assert sse.retry(1500) == b"retry: 1500\n\n"
    assert sse.HEARTBEAT == b": hb\n\n"
    assert b"\r" not in sse.frame(recorded(1))
