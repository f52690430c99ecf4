"""Small pieces of text become fewer, larger events before they reach the log.

One buffer per message. The first piece goes at once, so that the reader sees something; later ones gather for a
moment. A delta never flushes another message; any other event of the run flushes all of the run's buffers first, so
that the log keeps the order in which things happened.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.events.catalog import LlmDelta, MessageDelta, ReasoningDelta
from holdfast.events.recorded import Context

Delta = MessageDelta | ReasoningDelta | LlmDelta

# Below what an eye notices, and some ten tokens of a fast model.
COALESCE_MS = 30
# A line or two of text: a faster model doesn't wait for the timer.
COALESCE_CHARS = 256


@dataclass(slots=True)
class _Buffer:
    first: Delta
    context: Context
    texts: list[str] = field(default_factory=list[str])
    size: int = 0


class Coalescer:
    """Joins deltas of the same message; `append` gets the joined ones, in order per message."""

    def __init__(
        self,
        append: Callable[[Delta, Context], None],
        *,
        window_ms: int = COALESCE_MS,
        chars: int = COALESCE_CHARS,
    ) -> None:
        self._append, self._window_ms, self._chars = append, window_ms, chars
        self._buffers: dict[tuple[str, str], _Buffer] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, delta: Delta, context: Context) -> None:
        """Take a piece of text; it is appended now or within the window."""
        if self._window_ms == 0:
            self._append(delta, context)
            return
        name = (delta.type, _message(delta))
        buffer = self._buffers.get(name)
        if buffer is None:
            self._buffers[name] = _Buffer(delta, context)
            self._append(delta, context)
            return
        buffer.texts.append(delta.text)
        buffer.size += len(delta.text)
        if buffer.size >= self._chars:
            self._flush_one(buffer)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(
                self._window_ms / 1000, self._on_timer
            )

    def flush(self) -> None:
        """Append everything that waits and forget the messages: whatever comes next comes after it."""
        if self._buffers:
            self._flush_all()
            self._buffers.clear()

    def close(self) -> None:
        """Drop what waits: the run's owner has changed."""
        self._buffers.clear()
        self._stop_timer()

    def _on_timer(self) -> None:
        self._timer = None
        self._flush_all()

    def _flush_all(self) -> None:
        self._stop_timer()
        for buffer in self._buffers.values():
            self._flush_one(buffer)

    def _flush_one(self, buffer: _Buffer) -> None:
        if buffer.texts:
            text = "".join(buffer.texts)
            buffer.texts, buffer.size = [], 0
            self._append(buffer.first.model_copy(update={"text": text}), buffer.context)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _message(delta: Delta) -> str:
    match delta:
        case MessageDelta():
            return delta.message_id
        case ReasoningDelta():
            return delta.reasoning_id
        case LlmDelta():
            return delta.call_id
