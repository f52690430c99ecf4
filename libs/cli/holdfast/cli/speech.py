"""What is said and thought, as it comes. Several speakers may talk at once: each change of
speaker begins a line.
"""

from dataclasses import dataclass
from typing import Protocol

from holdfast.cli.text import one_line
from holdfast.events import catalog as c
from holdfast.events.recorded import RecordedEvent

# As many unfinished messages are remembered; the oldest is forgotten, which costs a repeated
# message at most.
OPEN_MESSAGES_MAX = 256


class Sink(Protocol):
    """What a transcript is written to."""

    def piece(self, text: str, style: str = "") -> None:
        """Write text that goes on where the last piece ended."""
        ...

    def line(self, text: str, style: str = "") -> None:
        """Write a line of its own."""
        ...

    def end_line(self) -> None:
        """End a line that a piece left open."""
        ...


@dataclass(slots=True)
class _Open:
    """A message of which some was shown."""

    speaker: str
    run_id: str | None
    style: str
    said: str = ""


class Speech:
    """Messages and reasoning; tells for each event whether it was one of these."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._open: dict[str, _Open] = {}
        self._current: str | None = None  # whose line is open

    def show(self, item: RecordedEvent, event: c.Event) -> bool:
        """Write what the event says, if it is speech."""
        match event:
            case c.MessageStarted():
                self._begin(item, event.message_id, event.role)
            case c.MessageDelta():
                self._say(item, event.message_id, event.text)
            case c.MessageCompleted():
                self._complete(item, event.message_id, event.content, role=event.role)
            case c.ReasoningStarted():
                self._begin(item, event.reasoning_id, thought=True)
            case c.ReasoningDelta():
                self._say(item, event.reasoning_id, event.text, thought=True)
            case c.ReasoningCompleted():
                self._complete(item, event.reasoning_id, event.content, thought=True)
            case _:
                # Whatever comes is written on a line of its own; who speaks next says again who
                # it is.
                self._current = None
                return False
        return True

    def forget(self, run_id: str | None = None) -> None:
        """Drop what the run's unfinished messages showed; without a run, everybody's."""
        self._current = None
        self._open = {
            id_: message
            for id_, message in self._open.items()
            if run_id is not None and message.run_id != run_id
        }

    def _begin(
        self, item: RecordedEvent, id_: str, role: str = "assistant", *, thought: bool = False
    ) -> _Open:
        speaker = one_line(item.agent or role)
        if len(self._open) >= OPEN_MESSAGES_MAX:
            del self._open[next(iter(self._open))]
        style = "dim italic" if thought else ""
        message = _Open(f"{speaker} thinks" if thought else speaker, item.run_id, style)
        self._open[id_] = message
        return message

    def _say(self, item: RecordedEvent, id_: str, text: str, *, thought: bool = False) -> None:
        message = self._open.get(id_) or self._begin(item, id_, thought=thought)
        if self._current != id_:
            self._sink.end_line()
            self._sink.piece(f"{message.speaker}: ", "bold" if not thought else "dim")
            self._current = id_
        self._sink.piece(text, message.style)
        message.said += text

    def _complete(
        self,
        item: RecordedEvent,
        id_: str,
        content: str,
        *,
        role: str = "assistant",
        thought: bool = False,
    ) -> None:
        message = self._open.get(id_) or self._begin(item, id_, role, thought=thought)
        if message.said != content:
            rest = content.removeprefix(message.said)
            if message.said and rest == content:
                # What was shown isn't how it begins (or its beginning wasn't seen): the whole
                # replaces it.
                self._current = None
            self._say(item, id_, rest, thought=thought)
        self._sink.end_line()
        del self._open[id_]
