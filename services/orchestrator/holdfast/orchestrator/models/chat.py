"""What a workflow asks of a model and what it gets back: one method, five kinds of chunk.

Every model, real or scripted, is a `ChatModel`. A workflow reads chunks until `Finished`; an answer
that does not end with `Finished` ends with a `ModelError`, so that half an answer is never taken
for a whole.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from holdfast.events.catalog.base import ErrorInfo, Milliseconds, Usage

Message = Mapping[str, Any]
"""One message in the chat-completions form: at least `role` and `content`."""

Tool = Mapping[str, Any]
"""One tool in the chat-completions form: `{"type": "function", "function": {...}}`."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of what the model thinks aloud, where the provider shows it."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """The next piece of a tool call; pieces with the same `index` belong together.

    The first piece of a call carries `call_id` and `name`; `arguments` is a part of one JSON text
    that is complete, and only then worth parsing, when the answer is finished.
    """

    index: int
    call_id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole; nothing follows.

    `finish_reason` is the provider's word (`stop`, `length`, `tool_calls`, `content_filter`). The
    time to the first token runs from the first pull and includes retries: it is what a person
    waited. It is None for an answer without content; `usage` is None when the provider did not
    tell.
    """

    finish_reason: str
    usage: Usage | None
    time_to_first_token_ms: Milliseconds | None
    model: str


@dataclass(frozen=True, slots=True)
class FellBack:
    """The model that was asked gave no answer, and another one is asked instead; nothing was shown yet."""

    model: str
    instead: str
    error: ErrorInfo

    def notice(self) -> str:
        """Return what a reader is told."""
        return f"{self.model} did not answer, {self.instead} answers instead. {self.error.message}"


@dataclass(frozen=True, slots=True)
class StartedOver:
    """The answer broke off and is asked for anew: what was yielded of it counts no more, it comes from its start."""

    error: ErrorInfo

    def notice(self) -> str:
        """Return what a reader is told."""
        return f"{self.error.message} It is asked for once more."


Chunk = TextDelta | ReasoningDelta | ToolCallDelta | FellBack | StartedOver | Finished


class ChatModel(Protocol):
    """A model that streams its answer."""

    @property
    def model(self) -> str:
        """Return the name of the model that is used unless a call names another."""
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str | None = None,
        tools: Sequence[Tool] | None = None,
        temperature: float | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the answer's chunks, the last of which is `Finished`; raise a ModelError otherwise.

        Nothing is asked of the provider before the first pull. Who may stop early reads inside
        `contextlib.aclosing(...)`: leaving it ends the request at once, as cancelling a pull does.
        """
        ...

    async def aclose(self) -> None:
        """Let go of every connection. Harmless when repeated."""
        ...


@runtime_checkable
class StartsOver(Protocol):
    """A model that can be told whether to ask anew for an answer that broke off after its first token."""

    def starting_over(self, wanted: bool) -> ChatModel:
        """Return the same model, on the same connections, which yields `StartedOver` where it asks anew, or never."""
        ...
