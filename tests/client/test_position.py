import pytest

from holdfast.client.position import Position, Reset, Signal, StreamBroken
from holdfast.client.sse import Frame
from holdfast.events.catalog import NotificationSent
from holdfast.events.recorded import RecordedEvent
from tests.client.scripted import body


def event(seq: int, type_: str = "notification.sent", run_id: str = "r1") -> Frame:
    return Frame(id=str(seq), data=body(seq, type_, run_id=run_id))


def test_an_event_one_above_the_cursor_is_delivered_verbatim_and_typed():
    position = Position(4)

    taken = position.take(event(5))

    assert isinstance(taken, RecordedEvent)
    assert (taken.seq, taken.type, taken.run_id, taken.body) == (
        5,
        "notification.sent",
        "r1",
        body(5),
    )
    assert isinstance(taken.event, NotificationSent)
    assert position.cursor == 5


@pytest.mark.parametrize("seq", [1, 3, 4])
def test_an_event_at_or_below_the_cursor_is_a_duplicate(seq: int):
    position = Position(4)

    assert position.take(event(seq)) is None
    assert (position.cursor, position.duplicates) == (4, 1)


@pytest.mark.parametrize("seq", [6, 7, 100])
def test_an_event_further_on_is_a_gap_and_moves_nothing(seq: int):
    position = Position(4)

    with pytest.raises(StreamBroken) as caught:
        position.take(event(seq))

    assert caught.value.gap
    assert position.cursor == 4


def test_an_id_only_frame_may_jump_forward_and_never_back():
    position = Position(4)

    assert position.take(Frame(id="9")) is None
    assert position.take(Frame(id="7")) is None

    assert position.cursor == 9


def test_a_certified_id_is_its_seq():
    position = Position(4)

    position.take(Frame(id="9-0af3"))

    assert position.cursor == 9


@pytest.mark.parametrize("seq", [0, 2, 40])
def test_a_reset_moves_the_cursor_either_way_and_is_told(seq: int):
    position = Position(4)

    taken = position.take(
        Frame(id=str(seq), event="reset", data=b'{"reason":"cursor-ahead","head":2}')
    )

    assert taken == Reset(seq, "cursor-ahead", {"reason": "cursor-ahead", "head": 2})
    assert position.cursor == seq


@pytest.mark.parametrize("name", ["caught-up", "stalled", "live", "drain"])
def test_control_frames_are_signals_and_move_nothing(name: str):
    position = Position(4)

    assert position.take(Frame(event=name, data=b"{}")) is Signal(name)
    assert position.cursor == 4


# protocol P13
def test_an_unknown_control_frame_is_no_trouble():
    assert Position(4).take(Frame(event="from-the-future", data=b"?")) is None


@pytest.mark.parametrize(
    "frame",
    [
        Frame(data=body(5)),
        Frame(id="", data=body(5)),
        Frame(id="abc", data=body(5)),
        Frame(id="5", data=body(6)),
        Frame(id="5", data=b'{"seq":5}'),
        Frame(id="5", data=b"<html>"),
        Frame(id="5", data=b"[]"),
        Frame(event="reset", data=b"{}"),
    ],
)
def test_what_makes_no_sense_breaks_the_stream_and_moves_nothing(frame: Frame):
    position = Position(4)

    with pytest.raises(StreamBroken) as caught:
        position.take(frame)

    assert not caught.value.gap
    assert position.cursor == 4


def test_a_run_ends_with_its_own_terminal_event_and_not_with_its_childs():
    position = Position(0, run_id="parent")

    position.take(event(1, "run.completed", run_id="child"))
    after_child = position.ended
    position.take(event(2, "run.failed", run_id="parent"))

    assert (after_child, position.ended) == (False, True)


def test_a_session_does_not_end_with_its_runs():
    position = Position(0)

    position.take(event(1, "run.completed"))

    assert not position.ended
