"""The offline model: a script, streamed word by word, that says in its first words what it is."""

import re
from collections.abc import AsyncGenerator, Callable, Sequence

from holdfast.events.catalog.base import Milliseconds, Usage
from holdfast.events.clock import Clock, SystemClock
from holdfast.orchestrator.models.chat import Chunk, Finished, Message, TextDelta, Tool
from holdfast.orchestrator.models.scripts import reply_to, text_of

# 5 ms a word: 100 words take half a second, slow enough to watch and quick enough to wait for.
TOKEN_DELAY_S = 0.005

MODEL_NAME = "scripted-offline"

_WORD = re.compile(r"\s*\S+(?:\s+\Z)?")


class ScriptedClient:
    """A `ChatModel` without a network: the same messages always get the same answer.

    `reply` chooses the text. It never calls tools, whatever it is offered, and its usage counts
    words.
    """

    def __init__(
        self,
        *,
        token_delay_s: float = TOKEN_DELAY_S,
        clock: Clock | None = None,
        reply: Callable[[Sequence[Message]], str] = reply_to,
    ) -> None:
        self._token_delay_s, self._clock, self._reply = token_delay_s, clock or SystemClock(), reply

    def __repr__(self) -> str:
        return f"ScriptedClient(token_delay_s={self._token_delay_s:g})"

    @property
    def model(self) -> str:
        """Return the name that events show, which says what it is."""
        return MODEL_NAME

    def starting_over(self, wanted: bool) -> "ScriptedClient":
        """Return the model as it is: a script never breaks off."""
        return self

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str | None = None,
        tools: Sequence[Tool] | None = None,
        temperature: float | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the script word by word, then `Finished`; only the messages make a difference."""
        begun = self._clock.monotonic()
        first_token_ms: Milliseconds | None = None
        words = _WORD.findall(self._reply(messages))
        for word in words:
            await self._clock.sleep(self._token_delay_s)
            if first_token_ms is None:
                first_token_ms = round((self._clock.monotonic() - begun) * 1000)
            yield TextDelta(word)
        asked = sum(len(text_of(m).split()) for m in messages)
        yield Finished(
            finish_reason="stop",
            usage=Usage(
                input_tokens=asked, output_tokens=len(words), total_tokens=asked + len(words)
            ),
            time_to_first_token_ms=first_token_ms,
            model=MODEL_NAME,
        )

    async def aclose(self) -> None:
        """Do nothing: there is nothing to let go of."""
