from dataclasses import FrozenInstanceError

import pytest

from holdfast.events.catalog import MessageDelta, RunCompleted
from holdfast.events.recorded import NOWHERE, Context, Emission, RecordedEvent
from tests.events.samples import RUN, STEP, TS, recorded

DELTA = MessageDelta(message_id="m", text="t")


def test_an_event_of_the_log_knows_its_place() -> None:
    event = recorded(DELTA, STEP, seq=7, session_id="ses")

    assert (event.seq, event.type, event.run_id, event.ts) == (7, "message.delta", "run_1", TS)
    assert (event.session_id, event.agent, event.step) == ("ses", "Engineer", "develop/write#1")
    assert (event.attempt, event.lane, event.metadata) == (2, "left", STEP.metadata)


def test_what_the_envelope_does_not_say_is_none() -> None:
    event = recorded(DELTA)

    assert event.run_id is event.agent is event.trace_id is event.metadata is None


def test_what_no_envelope_has_is_an_error() -> None:
    with pytest.raises(AttributeError, match="colour"):
        _ = recorded(DELTA).colour


def test_the_body_is_parsed_once() -> None:
    event = recorded(DELTA)

    assert event.envelope is event.envelope
    assert event.event is event.event


def test_an_event_of_the_log_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        recorded(DELTA).seq = 2  # pyright: ignore[reportAttributeAccessIssue]


def test_events_of_the_same_bytes_are_equal_whether_looked_at_or_not() -> None:
    looked_at, fresh = recorded(DELTA), recorded(DELTA)
    assert looked_at.event == DELTA

    assert looked_at == fresh
    assert hash(looked_at) == hash(fresh)


def test_a_run_s_last_event_is_terminal() -> None:
    assert recorded(RunCompleted(duration_ms=1), RUN).is_terminal
    assert not recorded(DELTA, RUN).is_terminal


def test_bytes_that_nobody_reads_are_never_parsed() -> None:
    """The hub passes bodies on by the thousand; only who looks inside pays for it."""
    event = RecordedEvent(1, "run.failed", "r", b"not even JSON")

    assert event.is_terminal


def test_two_emissions_do_not_share_their_metadata() -> None:
    assert Context().metadata is not Context().metadata
    assert Emission(DELTA).context is NOWHERE
    assert Context() == NOWHERE
