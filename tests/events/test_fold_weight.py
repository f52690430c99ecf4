"""A state weighs no more than it may, whatever its session is made of, and what it forgets depends on the log alone."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.events import catalog as c
from holdfast.events.codec import EVENT_BYTES_MAX
from holdfast.events.fold import apply, empty_state, fold, from_json, state, to_json, to_plain
from holdfast.events.fold.state import SHARED_WEIGHT_MAX, WEIGHT_MAX, State
from holdfast.events.fold.weight import ENTRY_WEIGHT, SCALAR_WEIGHT, entry_weight, weight
from holdfast.events.recorded import Emission
from holdfast.events.store import SNAPSHOT_BYTES_MAX
from tests.events.samples import EMISSIONS, log
from tests.events.stories import at

# A dozen entries: so random logs of some twenty events run into it.
LITTLE = 12 * ENTRY_WEIGHT

LOGS = st.lists(EMISSIONS, max_size=40)


def answers(count: int, text: str) -> list[Emission]:
    return [
        at(c.MessageCompleted(message_id=str(n), content=text, duration_ms=1)) for n in range(count)
    ]


def accounted(folded: State) -> bool:
    """Whether the account of weights is what the entries weigh."""
    shared = sum(weight(key) + weight(value) for key, value in folded.shared.items())
    return folded.shared_weight == shared and all(
        table.weight == sum(map(entry_weight, table.all.values())) for table in folded.tables
    )


@given(LOGS)
@settings(max_examples=300)
def test_the_account_of_weights_is_right_after_every_event(emissions: Sequence[Emission]) -> None:
    folded = empty_state()
    with patch.object(state, "WEIGHT_MAX", LITTLE):
        for event in log(emissions):
            apply(folded, event)

            assert accounted(folded)
            assert sum(table.weight for table in folded.tables) <= LITTLE


@given(LOGS, st.sets(st.integers(0, 40)))
@settings(max_examples=200)
def test_what_is_forgotten_does_not_depend_on_snapshots(
    emissions: Sequence[Emission], cuts: set[int]
) -> None:
    events = log(emissions)
    folded = empty_state()
    with patch.object(state, "WEIGHT_MAX", LITTLE):
        for event in events:
            if event.seq in cuts:
                folded = from_json(to_json(folded))
            apply(folded, event)

        assert to_json(folded) == to_json(fold(events))


def test_of_a_long_conversation_the_newest_answers_stay() -> None:
    page = "x" * 4000
    folded = fold(log(answers(1500, page)))

    plain = to_plain(folded)
    kept = [message["message_id"] for message in plain["messages"]]

    assert 900 < len(kept) < 1000
    assert kept == [str(n) for n in range(1500 - len(kept), 1500)]
    assert plain["forgotten"] == {"messages": 1500 - len(kept)}


def test_of_two_kinds_the_heavier_one_forgets() -> None:
    """A few notes of tools are not lost to a flood of answers."""
    tools = [at(c.ToolStarted(call_id=str(n), name="search", args={"q": n})) for n in range(10)]

    folded = fold(log([*tools, *answers(1500, "x" * 4000)]))

    assert len(folded.tools.all) == 10
    assert not folded.tools.forgotten


@pytest.mark.parametrize("text", ["x" * 4000, "漢" * 4000, "🜂" * 2000, '"\\' * 2000])
def test_the_largest_state_fits_a_snapshot(text: str) -> None:
    """Otherwise every look at a long session would fold it from its first event on."""
    shared = [at(c.StateUpdated(changes={f"{n}": text})) for n in range(400)]

    body = to_json(fold(log([*shared, *answers(WEIGHT_MAX // 4000 + 100, text)])))

    assert WEIGHT_MAX < len(body) < SNAPSHOT_BYTES_MAX


def test_the_shared_state_of_the_largest_event_is_kept_whole() -> None:
    whole: dict[str, Any] = {"numbers": [1] * (EVENT_BYTES_MAX // 2 - 200)}

    folded = fold(log([at(c.StateSnapshot(state=whole))]))

    assert folded.shared == whole


def test_a_shared_state_that_grows_event_by_event_has_a_bound_too() -> None:
    changes = [at(c.StateUpdated(changes={str(n): "x" * 100_000})) for n in range(20)]

    folded = fold(log(changes))

    assert list(folded.shared) == [str(n) for n in range(10, 20)]
    assert folded.shared_weight <= SHARED_WEIGHT_MAX


def test_a_value_is_weighed_however_deep_it_is() -> None:
    deep: object = 1
    for _ in range(5_000):
        deep = [deep]

    assert weight(deep) == 2 * 5_000 + SCALAR_WEIGHT
    assert weight({"ab": ["🜂", True, None]}) == 2 + 2 + 2 + 2 + 2 * SCALAR_WEIGHT
