"""Who works on what: turns of agents and tasks of a plan, each a scope for what is done inside."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

from holdfast.events.catalog import (
    AgentCompleted,
    AgentFailed,
    AgentStarted,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
)
from holdfast.events.errors import HoldfastError
from holdfast.orchestrator.context_core import Core, ms_since
from holdfast.orchestrator.context_step import StepError, StepTimeout
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.waits import NOT_OURS


class TaskDropped(HoldfastError):
    """Raised inside `ctx.task` by a workflow that gives the task up; the run goes on behind it."""

    code = "task-dropped"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Work(Core):
    """The scopes of `ctx`."""

    @asynccontextmanager
    async def agent(self, name: str, *, role: str | None = None) -> AsyncGenerator[Self]:
        """Let an agent take its turn: events inside carry its name. An exception is its failure, and passes on."""
        key = self._key(f"agent:{name}")
        inside = self._inside(key, agent=name)
        began = time.monotonic()
        started = AgentStarted(name=name, role=role)
        await self._scribe.emit(started, inside._at, key=f"{key}/started")
        try:
            yield inside
        except Exception as error:
            if not isinstance(error, NOT_OURS):
                failed = AgentFailed(
                    name=name, error=error_info(error), duration_ms=ms_since(began)
                )
                await self._scribe.emit(failed, inside._at, key=f"{key}/failed")
            raise
        done = AgentCompleted(name=name, duration_ms=ms_since(began))
        await self._scribe.emit(done, inside._at, key=f"{key}/completed")

    @asynccontextmanager
    async def task(self, task_id: str, title: str | None = None) -> AsyncGenerator[Self]:
        """Work on a task, planned or not: events inside carry its id.

        An exception is its failure, and passes on; `raise TaskDropped("why")` gives the task up and goes on behind it.
        """
        key = self._key(f"task:{task_id}")
        inside = self._inside(key, task_id=task_id)
        began = time.monotonic()
        started = TaskStarted(task_id=task_id, title=title)
        await self._scribe.emit(started, inside._at, key=f"{key}/started")
        try:
            yield inside
        except TaskDropped as error:
            dropped = TaskCancelled(
                task_id=task_id, duration_ms=ms_since(began), reason=error.reason
            )
            await self._scribe.emit(dropped, inside._at, key=f"{key}/cancelled")
            return
        except Exception as error:
            if not isinstance(error, NOT_OURS):
                failed = TaskFailed(
                    task_id=task_id, error=error_info(error), duration_ms=ms_since(began)
                )
                await self._scribe.emit(failed, inside._at, key=f"{key}/failed")
            raise
        done = TaskCompleted(task_id=task_id, duration_ms=ms_since(began))
        await self._scribe.emit(done, inside._at, key=f"{key}/completed")


__all__ = ["StepError", "StepTimeout", "TaskDropped", "Work"]
