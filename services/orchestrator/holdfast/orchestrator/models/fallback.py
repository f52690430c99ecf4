"""Another model when one doesn't answer: a worse answer instead of none, and the reader is told.

Models are asked in turn, each with its own retries and waits, and only while nothing of an answer was shown: after
its first token an answer belongs to the model that began it.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import structlog

from holdfast.orchestrator.models.chat import (
    ChatModel,
    Chunk,
    FellBack,
    Message,
    StartsOver,
    Tool,
)
from holdfast.orchestrator.models.errors import ModelError, ModelMisconfigured, ProviderRefused

log = structlog.get_logger("holdfast.models")


def another_may_help(error: ModelError) -> bool:
    """Tell whether another model may answer what this one didn't: not when the request itself was refused."""
    return type(error) is not ProviderRefused


class FallbackModel:
    """A `ChatModel` made of several: the first is asked, the others stand in for it."""

    def __init__(
        self,
        models: Sequence[ChatModel],
        *,
        falls_through: Callable[[ModelError], bool] = another_may_help,
    ) -> None:
        """`falls_through` tells the errors after which the next model is asked. Raises ModelMisconfigured."""
        if not models:
            raise ModelMisconfigured("A fallback needs at least one model.")
        self._models, self._falls_through = tuple(models), falls_through

    def __repr__(self) -> str:
        return f"FallbackModel({', '.join(model.model for model in self._models)})"

    @property
    def model(self) -> str:
        """Return the name of the model that is asked first."""
        return self._models[0].model

    def starting_over(self, wanted: bool) -> "FallbackModel":
        """Return the same models, each of which asks anew for an answer of its own that broke off, or never."""
        models = [m.starting_over(wanted) if isinstance(m, StartsOver) else m for m in self._models]
        return FallbackModel(models, falls_through=self._falls_through)

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str | None = None,
        tools: Sequence[Tool] | None = None,
        temperature: float | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the answer of the first model that gives one, with a `FellBack` before each that stands in.

        `model` names another one for the first to be asked. The last model's error is raised.
        """
        for n, asked in enumerate(self._models):
            shown = False
            name = model if n == 0 else None
            answer = asked.stream(messages, model=name, tools=tools, temperature=temperature)
            try:
                async with aclosing(answer) as chunks:
                    async for chunk in chunks:
                        shown = True
                        yield chunk
                return
            except ModelError as error:
                last = n == len(self._models) - 1
                if shown or last or not self._falls_through(error):
                    raise
                failed = error
            instead = self._models[n + 1].model
            log.warning("model.fell_back", model=name or asked.model, to=instead, code=failed.code)
            yield FellBack(name or asked.model, instead, failed.info())

    async def aclose(self) -> None:
        """Let go of every model's connections."""
        for model in self._models:
            await model.aclose()
