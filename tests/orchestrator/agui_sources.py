"""AG-UI sources for tests: events written down, and agents of other frameworks behind their own adapters."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from ag_ui.core import RunAgentInput

Event = dict[str, Any]


def started() -> Event:
    """The first event of every run."""
    return {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}


def finished(**more: Any) -> Event:
    """The last event of a run that went well, or that asks something."""
    return {"type": "RUN_FINISHED", "threadId": "t", "runId": "r", **more}


def text(content: str, message_id: str = "m1", **more: Any) -> list[Event]:
    """A message in two pieces."""
    half = len(content) // 2
    return [
        {"type": "TEXT_MESSAGE_START", "messageId": message_id, "role": "assistant", **more},
        {
            "type": "TEXT_MESSAGE_CONTENT",
            "messageId": message_id,
            "delta": content[:half],
            **_attr(more),
        },
        {
            "type": "TEXT_MESSAGE_CONTENT",
            "messageId": message_id,
            "delta": content[half:],
            **_attr(more),
        },
        {"type": "TEXT_MESSAGE_END", "messageId": message_id, **_attr(more)},
    ]


def _attr(more: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in more.items() if k == "subagentRunId"}


def says(*turns: list[Any], asked: list[RunAgentInput] | None = None) -> Callable[..., Any]:
    """A source that yields the events of the first turn, then those of the next, whatever it is told.

    A turn is told from the next by what the input carries: that many answers have been given before.
    """

    async def source(run: RunAgentInput) -> AsyncIterator[Any]:
        if asked is not None:
            asked.append(run)
        turn = 0 if "." not in run.run_id else int(run.run_id.rpartition(".")[2]) - 1
        for item in turns[turn]:
            yield item

    return source


def interrupt(id: str, message: str, **more: Any) -> Event:
    """The end of a run that waits for a person."""
    return finished(
        outcome={
            "type": "interrupt",
            "interrupts": [{"id": id, "reason": "approval", "message": message, **more}],
        }
    )
