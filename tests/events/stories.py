"""Short logs that tell of whole runs: as they happen, and when a worker dies in the middle."""

from holdfast.events import catalog as c
from holdfast.events.catalog import ErrorInfo, Event
from holdfast.events.recorded import NOWHERE, Context, Emission, RecordedEvent
from tests.events.samples import SAMPLES, log

ERROR = ErrorInfo(code="boom", message="It broke.")


def at(
    event: Event, *, attempt: int = 1, step: str | None = None, agent: str | None = None
) -> Emission:
    return Emission(event, Context(run_id="r", attempt=attempt, step=step, agent=agent))


def _beginning() -> list[Emission]:
    return [
        Emission(c.SessionCreated(metadata={"for": "tests"}), NOWHERE),
        at(c.CommandAccepted(command_id="c1", kind="start")),
        at(c.RunStarted(workflow="team", workflow_version="1", input="go")),
        at(c.MessageCompleted(message_id="m0", role="user", content="go", duration_ms=0)),
        at(c.StageChanged(to="design")),
    ]


def _talk(attempt: int, *, until: str = "end", announced: bool = True) -> list[Emission]:
    """One streamed step, cut at `until`; not `announced`: it goes on without its starts."""
    whole = [
        ("start", c.AgentStarted(name="Ann")),
        ("start", c.LlmStarted(call_id="l1", model="small")),
        ("start", c.ReasoningStarted(reasoning_id="t1")),
        ("middle", c.ReasoningDelta(reasoning_id="t1", text="hm")),
        ("middle", c.ReasoningCompleted(reasoning_id="t1", content="hm.", duration_ms=1)),
        ("start", c.MessageStarted(message_id="m1", content_type="text/markdown")),
        ("middle", c.MessageDelta(message_id="m1", text="Good ")),
        ("start", c.ToolStarted(call_id="k1", name="search", args={"q": 1})),
        ("middle", c.ToolProgress(call_id="k1", name="search", fraction=0.5)),
        ("middle", c.MessageDelta(message_id="m1", text="day")),
        ("cut", c.LlmDelta(call_id="l1", text="raw")),
        ("end", c.ToolCompleted(call_id="k1", name="search", result=[1], duration_ms=1)),
        (
            "end",
            c.MessageCompleted(
                message_id="m1",
                content="Good day",
                content_type="text/markdown",
                duration_ms=attempt,
            ),
        ),
        ("end", c.LlmCompleted(call_id="l1", model="small", duration_ms=attempt)),
        ("end", c.AgentCompleted(name="Ann", duration_ms=attempt)),
    ]
    if until == "cut":
        whole = [part for part in whole if part[0] != "end"]
    if not announced:
        whole = [(phase, event) for phase, event in whole if phase != "start"]
    return [at(event, attempt=attempt, step="talk#1", agent="Ann") for _, event in whole]


def _step(event: Event, attempt: int = 1) -> Emission:
    return at(event, attempt=attempt, step="talk#1", agent="Ann")


def _ending(attempt: int = 1) -> list[Emission]:
    return [
        _step(c.StepCompleted(name="talk", duration_ms=attempt), attempt),
        at(c.ProgressUpdated(fraction=1.0), attempt=attempt),
        at(c.RunCompleted(result="Good day", duration_ms=9 * attempt), attempt=attempt),
    ]


def uninterrupted() -> list[RecordedEvent]:
    return log([*_beginning(), _step(c.StepStarted(name="talk")), *_talk(1), *_ending()])


def interrupted(*, announced: bool) -> list[RecordedEvent]:
    return log(
        [
            *_beginning(),
            _step(c.StepStarted(name="talk")),
            *_talk(1, until="cut"),
            at(c.RunResumed(reason="takeover"), attempt=2),
            _step(c.StepRestarted(name="talk"), 2),
            *_talk(2, announced=announced),
            *_ending(2),
        ]
    )


def retried() -> list[RecordedEvent]:
    return log(
        [
            *_beginning(),
            _step(c.StepStarted(name="talk")),
            *_talk(1, until="cut"),
            _step(c.StepRetrying(name="talk", error=ERROR, delay_ms=10, next_try=2)),
            *_talk(1, announced=False),
            *_ending(),
        ]
    )


def ended_early(end: Event) -> list[RecordedEvent]:
    return log(
        [
            *_beginning(),
            _step(c.StepStarted(name="talk")),
            *_talk(1, until="cut"),
            at(c.PlanCreated(plan_id="p", items=(c.PlanItem(task_id="x", title="X"),))),
            at(c.InputRequested(input_id="i1", prompt="Sure?")),
            at(end),
        ]
    )


def awkward_names() -> list[RecordedEvent]:
    """Ids and keys that other languages reorder, inherit or count otherwise, and events of no run."""
    ids = ["7", "b", "1", "__proto__", "constructor"]
    nowhere = [Emission(c.ToolStarted(call_id=i, name=i), NOWHERE) for i in ids[:2]]
    return log(
        [
            Emission(c.SessionCreated(metadata={"__proto__": {"7": None}}), NOWHERE),
            *(at(c.MessageDelta(message_id=i, text=f"{i} 🜂\u2028")) for i in ids),
            *(at(c.ToolStarted(call_id=i, name=i), step=i) for i in ids),
            *nowhere,
            at(c.StateSnapshot(state={i: {i: 1.0} for i in ids})),
            at(c.StateUpdated(changes={"7": None, "__proto__": [None], "0": ""})),
            at(c.ToolCompleted(call_id="1", name="1", result=2**53 - 1, duration_ms=1), step="1"),
            at(c.StepRestarted(name="b"), step="b", attempt=2),
            at(c.StepRestarted(name="x"), attempt=2),
        ]
    )


def replanned_and_asked() -> list[RecordedEvent]:
    """A plan made anew, questions answered one by one, and a run that ends while one is open."""

    def plan(*tasks: str, plan_id: str = "p") -> Emission:
        items = tuple(c.PlanItem(task_id=task, title=task.upper()) for task in tasks)
        return at(c.PlanCreated(plan_id=plan_id, title="P", items=items))

    def ask(input_id: str) -> Emission:
        return at(c.InputRequested(input_id=input_id, prompt="Sure?"))

    return log(
        [
            *_beginning(),
            plan("another plan's", plan_id="q"),
            plan("a", "b", "d"),
            at(c.TaskStarted(task_id="b")),
            plan("c", "b"),
            at(c.TaskFailed(task_id="b", error=ERROR, duration_ms=1)),
            at(c.TaskStarted(task_id="b", title="B again")),
            at(c.TaskCompleted(task_id="b", result=1, duration_ms=2)),
            at(c.TaskStarted(task_id="b")),
            ask("i1"),
            ask("i2"),
            at(c.InputReceived(input_id="i1", value=True, duration_ms=1)),
            at(c.InputExpired(input_id="i2", duration_ms=1)),
            at(c.RunRetrying(error=ERROR, delay_ms=1, next_attempt=2)),
            at(c.RunResumed(reason="retry"), attempt=2),
            ask("i3"),
            at(c.RunCompleted(duration_ms=9), attempt=2),
            ask("i4"),
            at(c.RunResumed(reason="takeover"), attempt=3),
            at(c.RunFailed(error=ERROR, duration_ms=9), attempt=3),
        ]
    )


STORIES: dict[str, list[RecordedEvent]] = {
    "uninterrupted": uninterrupted(),
    "interrupted-announced-again": interrupted(announced=True),
    "interrupted-not-announced-again": interrupted(announced=False),
    "step-retried": retried(),
    "open-after-takeover": ended_early(c.RunResumed(reason="takeover")),
    "failed": ended_early(c.RunFailed(error=ERROR, duration_ms=5)),
    "cancelled": ended_early(c.RunCancelled(reason="enough", duration_ms=5)),
    "awkward-names": awkward_names(),
    "replanned-and-asked": replanned_and_asked(),
    "every-type": log(Emission(event, context) for event, context in SAMPLES),
    "every-type-but-erasure": log(
        Emission(event, context) for event, context in SAMPLES if event.type != "session.erased"
    ),
}
"""The vectors that every fold must agree with."""
