"""What holds of every log: no valid event makes the fold fail, and how it is cut makes no difference."""

import copy
import json
from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.events import catalog as c
from holdfast.events.catalog import MODELS, UnknownEvent
from holdfast.events.fold import (
    FOLD_VERSION,
    HANDLERS,
    UNSEEN,
    apply,
    empty_state,
    fold,
    from_json,
    from_plain,
    messages,
    to_json,
    to_plain,
    without_attempts,
)
from holdfast.events.fold.state import (
    ENTRIES_MAX,
    NOTIFICATIONS_MAX,
    SHARED_KEYS_MAX,
    TABLES,
    TEXT_CHARS_MAX,
)
from holdfast.events.recorded import Context, Emission
from tests.events.samples import EMISSIONS, log, recorded
from tests.events.stories import STORIES, at

LOGS = st.lists(EMISSIONS, max_size=25)


@given(LOGS)
@settings(max_examples=200)
def test_any_log_folds_and_the_state_survives_its_json(emissions: Sequence[Emission]) -> None:
    state = fold(log(emissions))

    assert state.seq == len(emissions)
    assert to_json(from_json(to_json(state))) == to_json(state)
    assert json.loads(to_json(state)) == orjson.loads(orjson.dumps(to_plain(state)))
    without_attempts(state)
    ids = [m["id"] for m in messages(state)]
    assert len(ids) == len(set(ids))


@given(LOGS, st.sets(st.integers(0, 25)))
@settings(max_examples=200)
def test_folding_page_by_page_over_snapshots_is_folding_at_once(
    emissions: Sequence[Emission], cuts: set[int]
) -> None:
    events = log(emissions)

    state = empty_state()
    for n, event in enumerate(events):
        if n in cuts:
            state = from_json(to_json(state))
        apply(state, event)

    assert to_json(state) == to_json(fold(events))
    for name in TABLES:
        restored = getattr(from_json(to_json(state)), name)
        assert restored.open.keys() == getattr(state, name).open.keys(), name


@given(LOGS)
def test_folding_never_changes_an_event(emissions: Sequence[Emission]) -> None:
    """The hub shares one parsed event among everybody who looks at it."""
    events = log(emissions)
    before = copy.deepcopy([event.envelope for event in events])

    fold(events)

    assert [event.envelope for event in events] == before


def test_a_shared_state_is_not_the_event_that_brought_it() -> None:
    snapshot = at(c.StateSnapshot(state={"a": 1}))
    events = log([snapshot, at(c.StateUpdated(changes={"a": None, "b": 2}))])

    assert fold(events).shared == {"b": 2}
    assert events[0].envelope["data"] == {"state": {"a": 1}}


@given(LOGS)
def test_an_event_that_comes_twice_counts_once(emissions: Sequence[Emission]) -> None:
    events = log(emissions)
    state = fold(events)
    once = to_json(state)

    for event in events:
        apply(state, event)

    assert to_json(state) == once


@given(LOGS, st.sampled_from(["r1", "r2"]))
def test_after_its_terminal_event_nothing_of_a_run_is_open(
    emissions: Sequence[Emission], run_id: str
) -> None:
    end = Emission(c.RunCancelled(duration_ms=1), Context(run_id=run_id))
    state = fold(log([*emissions, end]))

    for name in TABLES:
        assert getattr(state, name).open_of(run_id) == [], name


@pytest.mark.parametrize("type_", ["run.teleported", "custom.invoice.paid", *sorted(UNSEEN)])
def test_what_a_state_does_not_show_changes_its_seq_alone(type_: str) -> None:
    events = STORIES["open-after-takeover"]
    fields = {"name": "x", "duration_ms": 1}
    state = fold(events)
    expected = {**to_plain(state), "seq": len(events) + 1}

    event = UnknownEvent(type=type_, fields=fields)
    apply(state, recorded(event, Context(run_id="r"), seq=len(events) + 1))

    assert to_plain(state) == expected


def test_every_type_is_shown_or_named_as_unseen() -> None:
    """A new type must be thought about here."""
    assert set(HANDLERS) | UNSEEN == set(MODELS)
    assert not set(HANDLERS) & UNSEEN


@pytest.mark.parametrize("type_", sorted(set(HANDLERS)))
def test_every_handler_leaves_a_mark(type_: str) -> None:
    story = STORIES["every-type"]
    states = [to_plain(fold(story[:n])) | {"seq": 0} for n in range(len(story) + 1)]
    n = next(n for n, event in enumerate(story) if event.type == type_)
    alone = to_plain(fold([story[n]])) | {"seq": 0}
    empty = to_plain(empty_state()) | {"seq": 0}
    empty["session"] = {**empty["session"], "session_id": "s"}

    assert states[n] != states[n + 1] or alone != empty


def test_a_snapshot_of_another_fold_is_of_no_use() -> None:
    plain = {**to_plain(empty_state()), "fold_version": FOLD_VERSION + 1}

    with pytest.raises(ValueError, match="fold version 3"):
        from_plain(plain)


def test_a_state_starts_with_the_events_that_retention_has_left() -> None:
    """The first event of a compacted log may be anything, at any seq."""
    event = recorded(c.MessageDelta(message_id="m", text="x"), Context(run_id="r"), seq=1000)

    state = fold([event])

    assert (state.seq, state.session["session_id"]) == (1000, "ses_1")


# --- bounds
# ----------------------------------------------------------------------------------------


def test_a_table_forgets_its_oldest_entry_and_says_so() -> None:
    story = [
        at(c.MessageCompleted(message_id=str(n), content="x", duration_ms=1))
        for n in range(ENTRIES_MAX + 3)
    ]
    state = fold(log(story))
    restored = from_json(to_json(state))

    assert len(state.messages.all) == ENTRIES_MAX
    assert next(iter(state.messages.all)) == "3"
    assert to_plain(restored)["forgotten"] == {"messages": 3}


def test_only_the_last_notices_are_kept() -> None:
    story = [at(c.NotificationSent(text=str(n))) for n in range(NOTIFICATIONS_MAX + 1)]

    assert [n["text"] for n in fold(log(story)).notifications][:1] == ["1"]
    assert len(from_json(to_json(fold(log(story)))).notifications) == NOTIFICATIONS_MAX


def test_the_shared_state_has_a_bound() -> None:
    story = [
        at(c.StateUpdated(changes={f"{n}-{m}": 1 for m in range(1000)}))
        for n in range(SHARED_KEYS_MAX // 1000 + 1)
    ]
    shared = fold(log(story)).shared

    assert len(shared) == SHARED_KEYS_MAX
    assert next(iter(shared)) == "1-0"


@pytest.mark.parametrize(
    ("table", "field", "delta"),
    [
        ("messages", "content", c.MessageDelta(message_id="m", text="x" * 1000)),
        ("reasoning", "content", c.ReasoningDelta(reasoning_id="m", text="x" * 1000)),
        ("llm_calls", "text", c.LlmDelta(call_id="m", text="x" * 1000)),
    ],
)
def test_a_text_made_of_deltas_has_a_bound(table: str, field: str, delta) -> None:
    story = [at(delta)] * (TEXT_CHARS_MAX // 1000 + 50)

    [entry] = to_plain(fold(log(story)))[table]

    assert TEXT_CHARS_MAX <= len(entry[field]) < TEXT_CHARS_MAX + 1000
