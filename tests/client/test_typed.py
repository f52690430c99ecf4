"""Events as models, and what an editor knows of them."""

from typing import Any, Literal, assert_type

import pytest

from holdfast.client import Followed, Reset, typed
from holdfast.events.catalog import (
    CustomEvent,
    Event,
    MessageDelta,
    NotificationSent,
    UnknownEvent,
    register_custom,
)
from holdfast.events.recorded import RecordedEvent
from tests.client.scripted import body


def recorded(type_: str, **data: Any) -> RecordedEvent:
    return RecordedEvent(3, type_, "r1", body(3, type_, **data))


def test_an_event_is_its_model():
    event = typed(recorded("message.delta", message_id="m", text="ü"))

    match event:
        case MessageDelta(message_id=message, text=text):
            assert_type(message, str)
            assert (message, text) == ("m", "ü")
        case _:
            pytest.fail(f"{event!r}")


def test_an_application_sees_its_own_model():
    @register_custom
    class OrderPaid(CustomEvent):
        type: Literal["custom.typed.order_paid"] = "custom.typed.order_paid"
        amount: int

    assert typed(recorded("custom.typed.order_paid", amount=12)) == OrderPaid(amount=12)


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("weather.changed", {"to": "rain"}),
        ("notification.sent", {"a": "newer form"}),
        ("message.delta", {"message_id": 7}),
    ],
)
def test_what_a_newer_worker_wrote_passes_through(type_: str, data: dict[str, object]):
    """protocol P13"""
    event = typed(recorded(type_, **data))

    assert isinstance(event, UnknownEvent)
    assert (event.type, event.fields) == (type_, data)


def test_unknown_fields_of_a_known_type_are_ignored():
    assert isinstance(typed(recorded("notification.sent", text="x", later=1)), NotificationSent)


def test_the_items_of_a_follower_are_events_or_resets_to_a_type_checker():
    def handle(item: Followed) -> int:
        if isinstance(item, Reset):
            assert_type(item, Reset)
        else:
            assert_type(item, RecordedEvent)
            assert_type(typed(item), Event)
        return item.seq

    assert handle(Reset(7, "ahead")) == 7
