"""What a state says of messages and reasoning."""

import pytest

from holdfast.events import catalog as c
from holdfast.events.catalog import Event
from holdfast.events.fold import messages, to_plain
from tests.events.states import at, only, state_of


def test_a_message_grows_by_its_deltas_and_the_whole_replaces_them() -> None:
    growing = [
        at(c.MessageStarted(message_id="m", content_type="text/markdown"), agent="Ann"),
        at(c.MessageDelta(message_id="m", text="Good")),
        at(c.MessageDelta(message_id="m", text=" d")),
    ]
    end = at(c.MessageCompleted(message_id="m", content="Good day", duration_ms=3))
    partial = only(state_of(*growing), "messages")
    whole = only(state_of(*growing, end), "messages")

    assert (partial["content"], partial["complete"], partial["agent"]) == ("Good d", False, "Ann")
    assert partial["content_type"] == "text/markdown"
    assert (whole["content"], whole["complete"], whole["duration_ms"]) == ("Good day", True, 3)


@pytest.mark.parametrize(
    "late",
    [
        c.MessageDelta(message_id="m", text="!"),
        c.MessageStarted(message_id="m", role="system"),
        c.MessageCompleted(message_id="m", content="Good day", duration_ms=1),
    ],
)
def test_a_whole_message_is_not_changed_by_what_a_new_attempt_repeats(late: Event) -> None:
    whole = at(c.MessageCompleted(message_id="m", content="Good day", duration_ms=1))

    assert to_plain(state_of(whole, at(late)))["messages"] == to_plain(state_of(whole))["messages"]


def test_messages_stand_in_the_order_of_their_first_appearance() -> None:
    """Ids that look like numbers too: a JavaScript object would sort them first."""
    state = state_of(
        at(c.MessageStarted(message_id="9")),
        at(c.MessageStarted(message_id="1")),
        at(c.MessageDelta(message_id="a", text="")),
        at(c.MessageCompleted(message_id="9", content="x", duration_ms=1)),
    )

    assert [entry["message_id"] for entry in to_plain(state)["messages"]] == ["9", "1", "a"]


def test_the_messages_are_the_complete_ones_once_each_whoever_said_them() -> None:
    hi = c.MessageCompleted(message_id="u", role="user", content="Hi", duration_ms=0)
    yo = c.MessageCompleted(message_id="m", content="Yo", content_type="text/html", duration_ms=1)
    state = state_of(
        at(hi, trace_id="abc"),
        at(c.MessageStarted(message_id="cut")),
        at(yo, agent="Ann", step="talk#1"),
        # A graph that repeats its state in the next run repeats its messages.
        at(hi, run="r2"),
        at(c.RunCompleted(duration_ms=1)),
    )

    assert messages(state) == [
        {
            "id": "u",
            "role": "user",
            "content": "Hi",
            "content_type": "text/plain",
            "agent": None,
            "step": None,
            "run_id": "r",
            "trace_id": "abc",
            "ts": "2026-11-21T09:00:01.123Z",
        },
        {
            "id": "m",
            "role": "assistant",
            "content": "Yo",
            "content_type": "text/html",
            "agent": "Ann",
            "step": "talk#1",
            "run_id": "r",
            "trace_id": None,
            "ts": "2026-11-21T09:00:03.123Z",
        },
    ]


def test_reasoning_grows_like_a_message() -> None:
    growing = [
        at(c.ReasoningStarted(reasoning_id="t")),
        at(c.ReasoningDelta(reasoning_id="t", text="h")),
        at(c.ReasoningDelta(reasoning_id="t", text="m")),
    ]
    end = at(c.ReasoningCompleted(reasoning_id="t", content="hm.", duration_ms=1))
    partial = only(state_of(*growing), "reasoning")
    whole = only(state_of(*growing, end), "reasoning")

    assert (partial["content"], partial["complete"]) == ("hm", False)
    assert (whole["content"], whole["complete"]) == ("hm.", True)
