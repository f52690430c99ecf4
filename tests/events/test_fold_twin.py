"""The browser's fold is this one's twin: the same events, the same JSON, key by key."""

import json
import random
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.events import catalog as c
from holdfast.events.fold import HANDLERS, fold, to_plain
from holdfast.events.fold.state import ENTRIES_MAX, TEXT_CHARS_MAX
from holdfast.events.recorded import Context, Emission, RecordedEvent
from tests.events.samples import EMISSIONS, LATER, log, recorded
from tests.events.states import at
from tests.events.stories import STORIES

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "libs" / "client-js" / "scripts" / "fold-lines.mjs"

# The greatest integer that JavaScript tells from its neighbours.
INTEGER_MAX = 2**53 - 1

# Few words, steps and runs, so that nearly every event meets an earlier one. What hypothesis draws
# is then one number per event: hundreds of histories in seconds.
WORDS = ["", "a", "7", "🜂"]
NUMBERS = {"size", "erased_through", "next_attempt", "next_try"}


def _vocabulary() -> list[dict[str, Any]]:
    """Return events of every type that a state shows, a dozen each, as envelopes without a seq."""
    dice = random.Random(1337)
    error = {"code": "boom", "message": "It broke."}
    named: dict[str, list[Any]] = {
        "items": [(), ({"task_id": "a", "title": "A"},), ({"task_id": "7", "title": ""},) * 2],
        "state": [{}, {"a": 1, "7": None}],
        "changes": [{}, {"a": None, "b": [1]}, {"7": 1, "__proto__": {"x": 1}}],
        "metadata": [{}, {"__proto__": 1}],
        "value_schema": [{"type": "boolean"}],
        "next": [(), ("a",)],
        "error": [error],
        "usage": [{"input_tokens": 1}],
        "deadline": [LATER],
        "start_at": [LATER],
        "fraction": [0.0, 0.5, 1.0],
        "name": ["a", "b"],
        "role": ["assistant", "user", "system", "tool"],
        "level": ["info", "warning"],
        "kind": ["start", "cancel"],
        "reason": ["takeover"],
    }
    many: list[dict[str, Any]] = []
    for type_, model in c.MODELS.items():
        for _ in range(12 if type_ in HANDLERS else 1):
            fields: dict[str, Any] = {}
            for name, field in model.model_fields.items():
                if name == "type" or (not field.is_required() and dice.random() < 0.5):
                    continue
                number = name.endswith(("_ms", "_s")) or name in NUMBERS
                ids = ["a", "a", "a", "7"] if name.endswith("_id") else WORDS
                fields[name] = dice.choice(named.get(name, [0, 7] if number else ids))
            where = Context(
                run_id=dice.choice([None, "r2", *["r1"] * 6]),
                attempt=dice.choice([None, 1, 2]),
                agent=dice.choice([None, "a"]),
                step=dice.choice([None, "a", "a", "a", "7"]),
                lane=dice.choice([None, None, "left"]),
                parent_run_id=dice.choice([None, None, "r1"]),
                trace_id=dice.choice([None, "t"]),
            )
            many.append(recorded(model(**fields), where, session_id="s").envelope)
    return many


VOCABULARY = _vocabulary()


# All types, and those alone that change the same entries: there three events in a row that concern
# one entry are common, which is what most of the fold's rules are about.
FAMILIES = [
    "",
    "message step.re run.",
    "reasoning step.",
    "message.delta tool.started step.",
    "llm step.restarted",
    "tool step.re run.failed",
    "agent run.cancelled",
    "plan task run.failed",
    "run input command stage progress",
    "state session.created notification checkpoint component",
]


class Twin:
    """A process that folds: one history in, one state out."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(SCRIPT)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def fold(self, events: Iterable[RecordedEvent]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"[" + b",".join(event.body for event in events) + b"]\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def twin():
    process = Twin()
    try:
        yield process
    finally:
        process.close()


def as_javascript_has_it(value: Any) -> Any:
    """Return the JSON with the integers that JavaScript must round rounded."""
    match value:
        case dict():
            return {key: as_javascript_has_it(inner) for key, inner in value.items()}
        case list() | tuple():
            return [as_javascript_has_it(inner) for inner in value]
        case int() if abs(value) > INTEGER_MAX:
            return float(value)
        case _:
            return value


def state_json(events: Sequence[RecordedEvent]) -> Any:
    return as_javascript_has_it(to_plain(fold(events)))


def numbered(words: Iterable[dict[str, Any]]) -> list[RecordedEvent]:
    return [
        RecordedEvent(seq, word["type"], word.get("run_id"), orjson.dumps(word | {"seq": seq}))
        for seq, word in enumerate(words, 1)
    ]


@pytest.mark.parametrize("families", FAMILIES)
@given(data=st.data())
@settings(max_examples=60)
def test_any_history_is_the_same_state_in_the_browser(
    twin: Twin, families: str, data: st.DataObject
) -> None:
    words = [
        word for word in VOCABULARY if word["type"].startswith(tuple(families.split() or [""]))
    ]
    # Left alone, hypothesis draws lists of five; longer ones find more.
    events = numbered(data.draw(st.lists(st.sampled_from(words), min_size=20, max_size=60)))

    assert twin.fold(events) == state_json(events)


@given(st.lists(EMISSIONS, max_size=15))
@settings(max_examples=50)
def test_whatever_an_application_puts_into_events_is_the_same_in_the_browser(
    twin: Twin, emissions: list[Emission]
) -> None:
    events = log(emissions)

    assert as_javascript_has_it(twin.fold(events)) == state_json(events)


@pytest.mark.parametrize("name", list(STORIES))
def test_at_every_seq_of_a_story_both_are_the_same(twin: Twin, name: str) -> None:
    story = STORIES[name]

    for seq in range(len(story) + 1):
        assert twin.fold(story[:seq]) == state_json(story[:seq])


@pytest.mark.parametrize("text", ["x" * 1000, "🜂" * 999, "🜂x" * 500, "e\u0301" * 500])
@pytest.mark.parametrize("before", ["", "x" * 7])
def test_both_count_a_text_s_bound_in_code_points(twin: Twin, text: str, before: str) -> None:
    """JavaScript's own lengths count two for everything beyond the first 65,536 characters."""
    deltas = [at(c.MessageDelta(message_id="m", text=before))]
    deltas += [at(c.MessageDelta(message_id="m", text=text))] * (TEXT_CHARS_MAX // len(text) + 3)
    story = log(deltas)

    [entry] = twin.fold(story)["messages"]

    assert entry["content"] == to_plain(fold(story))["messages"][0]["content"]


def test_both_forget_the_same_entries(twin: Twin) -> None:
    story = log(
        at(c.MessageCompleted(message_id=str(n), content="x", duration_ms=1))
        for n in range(ENTRIES_MAX + 3)
    )

    assert twin.fold(story) == state_json(story)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_forget_the_same_entries_of_a_heavy_history(twin: Twin, seed: int) -> None:
    """Texts beyond ASCII, JSON, entries that are replaced: what each weighs is the same in both."""
    dice = random.Random(seed)
    events: list[Emission] = []
    for n in range(150):
        text = dice.choice(["x", "é", "漢", "🜂"]) * dice.randint(10_000, 60_000)
        json_value: Any = {"a": [text, 1.5, None, {"é": [True] * dice.randint(0, 5_000)}]}
        name = f"n{dice.randrange(100)}"
        events += dice.choice(
            [
                [at(c.MessageCompleted(message_id=name, content=text, duration_ms=1))],
                [at(c.ReasoningDelta(reasoning_id=name, text=text))],
                [at(c.ToolStarted(call_id=name, name="t", args=json_value))],
                [
                    at(
                        c.ComponentRendered(
                            component_id=name, component_type="x", content=json_value
                        )
                    )
                ],
                [at(c.StateUpdated(changes={name: json_value}))],
                [at(c.RunCompleted(result=json_value, duration_ms=n))],
            ]
        )
    story = log(events)

    state = state_json(story)

    assert state["forgotten"]
    assert twin.fold(story) == state
