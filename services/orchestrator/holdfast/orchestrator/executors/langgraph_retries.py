"""Notices when LangGraph does a task over by its retry policy, which its stream doesn't tell.

A callback handler sees every task begin and fail, in subgraphs and in the functional API too. A task that begins after
it has failed is being retried.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from holdfast.orchestrator.executors.langgraph_brake import TaskHandler, is_task, task_of

Again = Callable[[str, BaseException, int, int], Awaitable[None]]
"""Told of a task that is tried again: its id, why, which try comes now, and how many ms passed since the last."""


class Retries(TaskHandler):
    """Tells of tasks that are tried again, before they are."""

    def __init__(self, again: Again) -> None:
        self._again = again
        self._running: dict[UUID, str] = {}
        self._failed: dict[str, tuple[BaseException, float]] = {}
        self._tries: dict[str, int] = {}

    async def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A task begins, perhaps not for the first time."""
        task_id = task_of(metadata)
        if not is_task(kwargs.get("name"), tags, metadata) or task_id in self._running.values():
            return
        self._running[run_id] = task_id
        self._tries[task_id] = self._tries.get(task_id, 0) + 1
        if (failed := self._failed.pop(task_id, None)) is not None:
            error, when = failed
            waited_ms = int((time.monotonic() - when) * 1000)
            await self._again(task_id, error, self._tries[task_id], waited_ms)

    async def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A task is done."""
        self._running.pop(run_id, None)

    async def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A task failed, for now or for good."""
        if (task_id := self._running.pop(run_id, None)) is not None:
            self._failed[task_id] = (error, time.monotonic())
