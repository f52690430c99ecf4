"""Runs plain async functions: replayed from the top, with everything recorded skipped."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, cast

from pydantic import BaseModel, JsonValue, TypeAdapter

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.executors.abilities import Abilities
from holdfast.orchestrator.scribe import Scribe


class PlainExecutor:
    """Calls `function(ctx, input)` with the run's input as the type that the function asks for."""

    abilities: ClassVar[Abilities] = Abilities(resumes="call")

    def __init__(
        self, function: Callable[[WorkflowContext, Any], Awaitable[Any]], adapter: TypeAdapter[Any]
    ) -> None:
        self._function, self._adapter = function, adapter

    async def execute(self, scribe: Scribe) -> JsonValue:
        """Run the function to its end and return its result as JSON."""
        given = self._adapter.validate_python(scribe.run.input)
        result = await self._function(WorkflowContext(scribe), given)
        plain = result.model_dump(mode="json") if isinstance(result, BaseModel) else result
        return cast("JsonValue", plain)
