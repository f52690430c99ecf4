from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.render import Transcript, duration
from holdfast.client import Reset
from holdfast.events.catalog import MODELS
from holdfast.events.recorded import RecordedEvent

ERROR = {"code": "boom", "message": "it broke"}


class Page:
    """A sink that keeps what it is given, as a terminal would show it."""

    def __init__(self) -> None:
        self.text = ""

    def piece(self, text: str, style: str = "") -> None:
        self.text += text

    def line(self, text: str, style: str = "") -> None:
        self.end_line()
        self.text += text + "\n"

    def end_line(self) -> None:
        if self.text and not self.text.endswith("\n"):
            self.text += "\n"


def event(
    type_: str, *, agent: str | None = None, run_id: str = "r1", **data: Any
) -> RecordedEvent:
    envelope = {"v": 1, "seq": 1, "type": type_, "session_id": "s", "run_id": run_id, "data": data}
    if agent:
        envelope["agent"] = agent
    return RecordedEvent(1, type_, run_id, orjson.dumps(envelope))


def shown(*events: RecordedEvent | Reset) -> str:
    page = Page()
    transcript = Transcript(page)
    for item in events:
        transcript.show(item)
    return page.text


def delta(message: str, text: str, agent: str = "Boss") -> RecordedEvent:
    return event("message.delta", agent=agent, message_id=message, text=text)


def completed(message: str, content: str, agent: str = "Boss") -> RecordedEvent:
    return event(
        "message.completed", agent=agent, message_id=message, content=content, duration_ms=1
    )


def test_tokens_come_inline_behind_their_speaker():
    text = shown(
        event("message.started", agent="Boss", message_id="m"),
        delta("m", "Make "),
        delta("m", "it so"),
        completed("m", "Make it so"),
    )

    assert text == "Boss: Make it so\n"


def test_a_message_without_deltas_is_shown_whole():
    assert shown(completed("m", "Hello")) == "Boss: Hello\n"


def test_what_was_missed_of_a_message_is_added_when_it_is_complete():
    assert shown(delta("m", "He"), completed("m", "Hello")) == "Boss: Hello\n"


def test_a_message_whose_beginning_was_missed_is_shown_again_as_a_whole():
    assert shown(delta("m", "llo"), completed("m", "Hello")) == "Boss: llo\nBoss: Hello\n"


def test_speakers_who_talk_at_once_get_lines_of_their_own():
    text = shown(
        delta("a", "one ", "A"), delta("b", "uno ", "B"), delta("b", "due"), delta("a", "two", "A")
    )

    assert text == "A: one \nB: uno due\nA: two"


def test_a_user_is_called_by_their_role():
    user = event("message.completed", message_id="m", role="user", content="hi", duration_ms=0)

    assert shown(user) == "user: hi\n"


def test_a_step_that_starts_over_takes_back_what_it_showed():
    text = shown(
        delta("m", "half a"),
        event("step.restarted", name="draft"),
        delta("m", "all new"),
        completed("m", "all new"),
    )

    assert text == (
        "Boss: half a\n  ↻ draft starts over: what it showed above doesn't count\nBoss: all new\n"
    )


def test_a_stage_is_a_heading():
    assert shown(event("stage.changed", **{"from": "plan", "to": "build"})) == "\n── build ──\n"


@pytest.mark.parametrize(
    ("given_event", "line"),
    [
        (
            event("run.started", workflow="team", workflow_version="2", input={}),
            "▶ run r1: team 2",
        ),
        (
            event("run.completed", duration_ms=61_500, result={"a": 1}),
            '✔ completed after 1 min 2 s: {"a":1}',
        ),
        (
            event("run.failed", duration_ms=1500, error=ERROR),
            "✘ failed after 1.5 s: it broke [boom]",
        ),
        (event("run.cancelled", duration_ms=5, reason="no"), "✘ cancelled after 5 ms: no"),
        (event("agent.started", name="Boss", role="lead"), "● Boss (lead)"),
        (event("tool.started", call_id="c", name="grep", args={"q": 1}), '  → grep({"q":1})'),
        (event("tool.progress", call_id="c", name="grep", fraction=0.5), "  … grep 50%"),
        (
            event("tool.completed", call_id="c", name="grep", result="ok", duration_ms=7),
            "  ← grep, 7 ms: ok",
        ),
        (
            event("tool.failed", call_id="c", name="grep", error=ERROR, duration_ms=7),
            "  ✗ grep: it broke [boom]",
        ),
        (
            event("progress.updated", fraction=0.25, label="a quarter"),
            "[#####---------------] 25% a quarter",
        ),
        (event("notification.sent", text="look", title="Now"), "! Now: look"),
        (event("custom.invoice.paid", cents=5), '· custom.invoice.paid {"cents":5}'),
        (event("from.the_future", a=[1]), '· from.the_future {"a":[1]}'),
        (event("run.failed", error="in another form"), "· run.failed"),
        (Reset(9, "retention"), "— the log goes on after 9: retention —"),
    ],
)
def test_events_read_like_this(given_event: RecordedEvent | Reset, line: str):
    assert shown(given_event) == line + "\n"


def test_a_question_says_how_to_answer_it():
    text = shown(event("input.requested", input_id="i1", prompt="Ship it?"))

    assert text == "? Ship it?\n  answer with: holdfast answer r1 i1 VALUE\n"


def test_every_type_of_the_catalogue_can_be_shown_and_begins_no_line_with_its_own_name():
    """A type without a line of its own falls through to its bare name: a new type is noticed here."""
    fields = {
        "name": "n", "error": ERROR, "duration_ms": 1, "call_id": "c", "message_id": "m",
        "reasoning_id": "g", "text": "t", "content": "c", "task_id": "k", "plan_id": "p",
        "component_id": "x", "component_type": "y", "fraction": 0.5, "artifact_id": "a",
        "state": {}, "changes": {}, "checkpoint_id": "z", "command_id": "q", "kind": "start",
        "reason": "drain", "input_id": "i", "prompt": "p", "to": "s", "workflow": "w",
        "workflow_version": "1", "delay_ms": 1, "next_attempt": 2, "next_try": 2,
        "erased_through": 4, "metadata": {},
    }  # fmt: skip
    for type_, model in MODELS.items():
        names = {f.alias or name for name, f in model.model_fields.items()} - {"type"}
        item = event(type_, **{name: v for name, v in fields.items() if name in names})
        item.event  # noqa: B018 - raises when a field is missing above

        assert "·" not in shown(item), type_


@given(st.text(), st.text(), st.text())
def test_whatever_the_pieces_of_a_message_are_they_add_up_to_it(a: str, b: str, c: str):
    text = shown(delta("m", a), delta("m", b), completed("m", a + b + c))

    assert text == f"Boss: {a}{b}{c}" + ("" if (a + b + c).endswith("\n") else "\n")


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (60_000, "1 min 0 s"),
        (7_260_000, "2 h 1 min"),
    ],
)
def test_durations_are_said_as_people_do(milliseconds: int, said: str):
    assert duration(milliseconds) == said
