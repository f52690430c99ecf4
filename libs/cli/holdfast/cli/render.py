"""A session for people, live: stages as headings, agents with their words as they come, tools,
progress, ends.

Bookkeeping that tells a reader nothing (checkpoints, accepted commands, model calls that went
well) is left out; `--json` shows everything. All text comes from events and is made inert by what
it is written to.
"""

from typing import Any

import orjson
from pydantic import JsonValue, ValidationError

from holdfast.cli.speech import Sink, Speech
from holdfast.cli.text import one_line
from holdfast.client import Reset
from holdfast.events import catalog as c
from holdfast.events.recorded import RecordedEvent

# Values on a line of their own are cut here; the whole is in --json.
VALUE_LENGTH_MAX = 160

_BAR_CELLS = 20

# What is left out, by type or family.
_QUIET = frozenset(
    {
        "session.created", "command.accepted", "input.received",
        "llm.started", "llm.delta", "llm.completed",
        "step.started", "step.completed", "agent.completed",
        "checkpoint.saved", "checkpoint.restored", "middleware.executed",
        "state.snapshot", "state.updated",
    }
)  # fmt: skip

_NOTICE_STYLES = {"info": "", "success": "green", "warning": "yellow", "error": "red"}


class Transcript:
    """Show it each event in order."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._speech = Speech(sink)

    def show(self, item: RecordedEvent | Reset) -> None:
        """Write what the event means to a reader, if anything."""
        if isinstance(item, Reset):
            self._speech.forget()
            self._line(f"— the log goes on after {item.seq}: {one_line(item.reason)} —", "yellow")
            return
        try:
            event = item.event
        except (ValidationError, KeyError, TypeError):
            # A newer writer's form of a type that we know.
            self._line(f"· {one_line(item.type)}", "dim")
            return
        if self._speech.show(item, event):
            return
        if item.type not in _QUIET and not (
            self._run(item, event) or self._work(item, event) or self._shown(event)
        ):
            self._other(item, event)
        if item.is_terminal:
            self._speech.forget(item.run_id)

    def _line(self, text: str, style: str = "") -> None:
        self._sink.line(text, style)

    def _run(self, item: RecordedEvent, event: c.Event) -> bool:
        """Runs, stages and questions."""
        match event:
            case c.RunStarted():
                name = one_line(f"{event.workflow} {event.workflow_version}")
                self._line(f"▶ run {one_line(item.run_id)}: {name}", "bold")
            case c.RunResumed():
                self._line(f"▶ goes on ({event.reason}), attempt {item.attempt or '?'}", "dim")
            case c.RunRetrying():
                self._line(
                    f"✗ {_error(event.error)}; trying again in {event.delay_ms / 1000:g} s",
                    "yellow",
                )
            case c.RunCompleted():
                result = "" if event.result is None else f": {value(event.result)}"
                self._line(f"✔ completed after {duration(event.duration_ms)}{result}", "bold green")
            case c.RunFailed():
                said = _error(event.error)
                self._line(f"✘ failed after {duration(event.duration_ms)}: {said}", "bold red")
            case c.RunCancelled():
                reason = f": {one_line(event.reason)}" if event.reason else ""
                self._line(f"✘ cancelled after {duration(event.duration_ms)}{reason}", "bold red")
            case c.InputRequested():
                self._line(f"? {one_line(event.prompt, length=2000)}", "bold yellow")
                ids = f"{one_line(item.run_id)} {one_line(event.input_id)}"
                self._line(f"  answer with: holdfast answer {ids} VALUE", "dim")
            case c.InputExpired():
                self._line("? nobody answered in time", "yellow")
            case c.StageChanged():
                self._line("")
                self._line(f"── {one_line(event.to)} ──", "bold cyan")
            case _:
                return False
        return True

    def _work(self, item: RecordedEvent, event: c.Event) -> bool:
        """Agents, steps, tools, plans and tasks."""
        match event:
            case c.AgentStarted():
                role = f" ({one_line(event.role)})" if event.role else ""
                self._line(f"● {one_line(event.name)}{role}", "bold magenta")
            case c.AgentFailed() | c.StepFailed() | c.ToolFailed() | c.MiddlewareFailed():
                self._line(f"  ✗ {one_line(event.name)}: {_error(event.error)}", "red")
            case c.LlmFailed() | c.TaskFailed() | c.PlanFailed():
                self._line(f"  ✗ {event.type.partition('.')[0]}: {_error(event.error)}", "red")
            case c.StepRetrying():
                wait = f"{event.delay_ms / 1000:g} s"
                self._line(
                    f"  ✗ {one_line(event.name)}: {_error(event.error)}; again in {wait}", "yellow"
                )
            case c.StepRestarted():
                self._speech.forget(item.run_id)
                name = one_line(event.name)
                self._line(f"  ↻ {name} starts over: what it showed above doesn't count", "yellow")
            case c.ToolStarted():
                args = "" if event.args is None else value(event.args)
                self._line(f"  → {one_line(event.name)}({args})", "blue")
            case c.ToolProgress():
                share = "" if event.fraction is None else f" {event.fraction:.0%}"
                said = f" {one_line(event.text)}" if event.text else ""
                self._line(f"  … {one_line(event.name)}{share}{said}", "blue")
            case c.ToolCompleted():
                took = duration(event.duration_ms)
                self._line(f"  ← {one_line(event.name)}, {took}: {value(event.result)}", "blue")
            case c.PlanCreated():
                self._line(f"☰ {one_line(event.title or 'plan')}", "bold")
                for number, task in enumerate(event.items, 1):
                    self._line(f"  {number}. {one_line(task.title)}")
            case c.TaskStarted():
                self._line(f"☐ {one_line(event.title or event.task_id)}")
            case c.TaskCompleted():
                took = duration(event.duration_ms)
                self._line(f"☑ {one_line(event.task_id)} done after {took}", "green")
            case c.TaskCancelled():
                self._line(f"☒ {one_line(event.task_id)} given up", "yellow")
            case _:
                return False
        return True

    def _shown(self, event: c.Event) -> bool:
        """What an application shows beside messages."""
        match event:
            case c.ProgressUpdated():
                cells = round(event.fraction * _BAR_CELLS)
                bar = "#" * cells + "-" * (_BAR_CELLS - cells)
                label = f" {one_line(event.label)}" if event.label else ""
                self._line(f"[{bar}] {event.fraction:.0%}{label}", "cyan")
            case c.NotificationSent():
                title = f"{one_line(event.title)}: " if event.title else ""
                said = one_line(event.text, length=1000)
                self._line(f"! {title}{said}", _NOTICE_STYLES[event.level])
            case c.ComponentRendered():
                name = f"{one_line(event.component_type)} {one_line(event.component_id)}"
                self._line(f"▣ {name}: {value(event.content)}")
            case c.ArtifactCreated():
                size = "" if event.size is None else f", {event.size:,} bytes"
                where = f" {one_line(event.uri)}" if event.uri else ""
                self._line(f"▤ {one_line(event.name)} ({one_line(event.media_type)}{size}){where}")
            case c.SessionExpired():
                self._line("— the session has expired —", "yellow")
            case c.SessionErased():
                self._line("— the session was erased —", "yellow")
            case c.CommandRejected():
                self._line(f"✗ {one_line(event.kind)} refused: {one_line(event.reason)}", "yellow")
            case _:
                return False
        return True

    def _other(self, item: RecordedEvent, event: c.Event) -> None:
        """An application's own type, or one of a newer version: its name and what it holds."""
        self._line(f"· {one_line(item.type)} {value(item.envelope.get('data'))}", "dim")


def value(content: JsonValue | Any) -> str:
    """Return a value on one line: text as it is, everything else as JSON."""
    text = content if isinstance(content, str) else orjson.dumps(content).decode()
    return one_line(text, length=VALUE_LENGTH_MAX)


def duration(milliseconds: int) -> str:
    """Return a duration as people say it."""
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _error(error: c.ErrorInfo) -> str:
    return f"{one_line(error.message, length=500)} [{one_line(error.code)}]"
