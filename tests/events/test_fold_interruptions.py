"""An interruption leaves no trace in what a session shows, and an end leaves nothing open."""

import pytest

from holdfast.events import catalog as c
from holdfast.events.fold import fold, messages, to_plain, without_attempts
from holdfast.events.recorded import Context, Emission
from tests.events import stories
from tests.events.samples import ERROR, log
from tests.events.stories import STORIES, at


@pytest.mark.parametrize(
    "story", ["interrupted-announced-again", "interrupted-not-announced-again", "step-retried"]
)
# protocol P23
def test_an_interrupted_run_shows_what_an_uninterrupted_one_shows(story: str) -> None:
    """The second attempt may announce its messages and calls again or, their keys being recorded
    already, go on without: both add up to the same."""
    interrupted = fold(STORIES[story])
    uninterrupted = fold(stories.uninterrupted())

    assert without_attempts(interrupted) == without_attempts(uninterrupted)


def test_the_comparison_sees_everything_but_attempts_and_times() -> None:
    """If it were blind, the test above would prove nothing."""
    events = stories.uninterrupted()
    whole = without_attempts(fold(events))

    assert whole["messages"][1]["content"] == "Good day"
    assert all(
        without_attempts(fold([*events[:n], *events[n + 1 :]])) != whole
        for n, event in enumerate(events)
        if event.type in {"message.completed", "tool.completed", "run.completed", "stage.changed"}
    )


def test_between_the_attempts_nothing_partial_is_shown() -> None:
    events = stories.interrupted(announced=False)
    restart = next(n for n, event in enumerate(events) if event.type == "step.restarted")
    before, after = fold(events[:restart]), fold(events[: restart + 1])

    assert [m["content"] for m in to_plain(before)["messages"]] == ["go", "Good day"]
    assert [m["content"] for m in to_plain(after)["messages"]] == ["go", ""]
    shown = without_attempts(after)
    assert [m["message_id"] for m in shown["messages"]] == ["m0"]
    assert shown["tools"] == shown["llm_calls"] == []


def test_what_was_complete_before_the_restart_is_withdrawn_too() -> None:
    """The step is shown again from its start: what it had completed would stand there twice."""
    events = stories.interrupted(announced=False)
    restart = next(n for n, event in enumerate(events) if event.type == "step.restarted")

    assert [t["content"] for t in to_plain(fold(events[:restart]))["reasoning"]] == ["hm."]
    assert without_attempts(fold(events[: restart + 1]))["reasoning"] == []


def test_a_restart_leaves_other_steps_and_runs_alone() -> None:
    def talk(run: str, step: str):
        return c.MessageDelta(message_id=f"{run}{step}", text="x"), run, step

    emissions = [
        Emission(event, Context(run_id=run, step=step))
        for event, run, step in [talk("r", "a"), talk("r", "b"), talk("q", "a")]
    ]
    state = fold(log([*emissions, at(c.StepRestarted(name="a"), attempt=2, step="a")]))

    assert [m["content"] for m in to_plain(state)["messages"]] == ["", "x", "x"]


def test_what_the_next_attempt_does_not_go_on_with_is_gone_with_its_step() -> None:
    """A model may call other tools the second time; the first call must not hang about for ever."""
    state = fold(
        log(
            [
                at(c.ToolStarted(call_id="first", name="search"), step="s"),
                at(c.MessageDelta(message_id="m", text="x"), step="s"),
                at(c.StepRestarted(name="s"), attempt=2, step="s"),
                at(c.ToolStarted(call_id="second", name="search"), attempt=2, step="s"),
                at(c.StepCompleted(name="s", duration_ms=1), attempt=2, step="s"),
            ]
        )
    )

    assert [t["call_id"] for t in to_plain(state)["tools"]] == ["second"]
    assert to_plain(state)["messages"] == []


def test_the_end_of_a_step_sweeps_neither_other_steps_nor_other_runs() -> None:
    def on(event: c.Event, run: str, step: str) -> Emission:
        return Emission(event, Context(run_id=run, step=step))

    places = [("r", "a"), ("r", "b"), ("q", "a")]
    state = fold(
        log(
            [
                *(on(c.MessageDelta(message_id=f"{r}{s}", text="x"), r, s) for r, s in places),
                *(on(c.StepRestarted(name=s), r, s) for r, s in places),
                on(c.StepCompleted(name="a", duration_ms=1), "r", "a"),
            ]
        )
    )

    assert list(state.messages.all) == ["rb", "qa"]


@pytest.mark.parametrize(
    "event",
    [
        c.MessageStarted(message_id="m"),
        c.MessageDelta(message_id="m", text="x"),
        c.MessageCompleted(message_id="m", content="x", duration_ms=1),
        c.ReasoningStarted(reasoning_id="t"),
        c.ReasoningDelta(reasoning_id="t", text="x"),
        c.ReasoningCompleted(reasoning_id="t", content="x", duration_ms=1),
        c.LlmStarted(call_id="l"),
        c.LlmDelta(call_id="l", text="x"),
        c.LlmCompleted(call_id="l", duration_ms=1),
        c.LlmFailed(call_id="l", error=ERROR, duration_ms=1),
        c.ToolStarted(call_id="k", name="search"),
        c.ToolProgress(call_id="k", name="search", fraction=0.1),
        c.ToolCompleted(call_id="k", name="search", duration_ms=1),
        c.ToolFailed(call_id="k", name="search", error=ERROR, duration_ms=1),
    ],
    ids=lambda event: event.type,
)
def test_whatever_goes_on_with_something_withdrawn_shows_it_again(event: c.Event) -> None:
    begun = [
        at(c.MessageStarted(message_id="m"), step="s"),
        at(c.ReasoningStarted(reasoning_id="t"), step="s"),
        at(c.LlmStarted(call_id="l"), step="s"),
        at(c.ToolStarted(call_id="k", name="search"), step="s"),
        at(c.StepRestarted(name="s"), step="s", attempt=2),
    ]
    before = without_attempts(fold(log(begun)))
    after = without_attempts(fold(log([*begun, at(event, step="s", attempt=2)])))

    tables = ("messages", "reasoning", "llm_calls", "tools")
    assert sum(len(before[table]) for table in tables) == 0
    assert sum(len(after[table]) for table in tables) == 1


def test_a_takeover_leaves_open_what_is_open() -> None:
    """Whether a step is done over is for `step.restarted` to say."""
    before = fold(STORIES["open-after-takeover"][:-1])
    after = fold(STORIES["open-after-takeover"])

    assert after.runs.all["r"]["status"] == "running"
    for table in ("messages", "steps", "tools", "llm_calls", "agents", "tasks", "pending_inputs"):
        assert to_plain(before)[table] == to_plain(after)[table], table


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (c.RunFailed(error=ERROR, duration_ms=1), "failed"),
        (c.RunCancelled(duration_ms=1), "cancelled"),
        (c.RunCompleted(duration_ms=1), "cancelled"),
    ],
)
def test_a_terminal_event_closes_all_that_its_run_left_open(end, status: str) -> None:
    state = fold(stories.ended_early(end))
    plain = to_plain(state)

    assert [(m["content"], m["complete"], m["cut"]) for m in plain["messages"]] == [
        ("go", True, False),
        ("Good day", False, True),
    ]
    assert [m["id"] for m in messages(state)] == ["m0"]
    for table in ("steps", "tools", "llm_calls", "agents", "tasks"):
        assert [entry["status"] for entry in plain[table]] == [status], table
    assert plain["pending_inputs"] == []
    for table in (
        "messages",
        "reasoning",
        "steps",
        "tools",
        "llm_calls",
        "agents",
        "tasks",
        "runs",
    ):
        assert not getattr(state, table).open, table


def test_the_end_of_a_run_leaves_its_children_and_neighbours_open() -> None:
    delta = c.MessageDelta(message_id="m", text="x")
    state = fold(
        log(
            [
                at(c.RunStarted(workflow="w", workflow_version="1")),
                Emission(delta, Context(run_id="child", parent_run_id="r")),
                at(c.RunCompleted(duration_ms=1)),
            ]
        )
    )

    assert not state.messages.all["m"]["cut"]


def test_what_was_withdrawn_and_never_resumed_is_gone_when_the_run_ends() -> None:
    events = stories.interrupted(announced=False)
    restart = next(n for n, event in enumerate(events) if event.type == "step.restarted")
    end = log([at(c.RunFailed(error=ERROR, duration_ms=1))] * (restart + 2))[-1]

    plain = to_plain(fold([*events[: restart + 1], end]))

    assert [m["message_id"] for m in plain["messages"]] == ["m0"]
    assert plain["tools"] == plain["llm_calls"] == []
