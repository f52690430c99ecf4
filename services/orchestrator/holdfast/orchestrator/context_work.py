"""Steps, tools and agents: what a workflow does, recorded so that it is done once."""

import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Self, TypeVar, cast

from pydantic import BaseModel, JsonValue

from holdfast.events.catalog import (
    AgentCompleted,
    AgentFailed,
    AgentStarted,
    ErrorInfo,
    Event,
    StepCompleted,
    StepFailed,
    StepStarted,
    ToolCompleted,
    ToolFailed,
    ToolStarted,
)
from holdfast.events.errors import HoldfastError, StoreUnavailable
from holdfast.events.recorded import Context
from holdfast.orchestrator.context_core import Core, ms_since, revive
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.scribe import Missing
from holdfast.orchestrator.session_log import Fenced

T = TypeVar("T")

_step_key: ContextVar[str | None] = ContextVar("holdfast_step_key", default=None)


class StepError(HoldfastError):
    """A step or tool failed; `failure` tells how. On the attempt that saw it happen, what was raised is the cause."""

    def __init__(self, name: str, info: ErrorInfo) -> None:
        super().__init__(f"{name}: {info.message}")
        self.name, self.failure = name, info
        self.code, self.retryable = info.code, info.retryable


# Not failures of the step: the attempt is over, or the database is away and the step is done over later.
NOT_OURS = (Fenced, StoreUnavailable)


class Work(Core):
    """The doing part of `ctx`."""

    def _recorded(self, key: str, name: str) -> JsonValue | Missing:
        """Return the recorded result of a step, MISSING if there is none yet. Raises the StepError recorded for it."""
        failure = self._scribe.result(_failure_key(key))
        if not isinstance(failure, Missing):
            raise StepError(name, ErrorInfo.model_validate(failure))
        return self._scribe.result(key)

    async def _fail(self, key: str, event: Event, info: ErrorInfo, at: Context) -> None:
        kept = self._scribe.remember(_failure_key(key), info.model_dump(exclude_none=True))
        await self._scribe.emit(event, at, key=f"{key}/failed", effects=[kept])

    @property
    def idempotency_key(self) -> str:
        """A key for external effects of the current step: the same on every attempt. `run_id:step_key`."""
        key = _step_key.get()
        if key is None:
            raise HoldfastError(
                "ctx.idempotency_key is only defined inside the function of a step or tool"
            )
        return f"{self.run_id}:{key}"

    async def step(
        self,
        name: str,
        function: Callable[..., Awaitable[T] | T],
        *args: Any,
        public: bool = False,
        returns: type[T] | None = None,
    ) -> T:
        """Call `function(*args)` once and record its result; on replay return the recorded result.

        The function is called only after `step.started` is on disk. Its result must be JSON, or a pydantic model
        (name the type with `returns` to get one back on replay); it stays off the wire unless `public`. What it does
        outside happens at least once: give the outside `ctx.idempotency_key`. When it raises, StepError is recorded
        and raised, here and on every replay: what a workflow catches once it catches always.
        """
        key = self._key(name)
        kept = self._recorded(key, name)
        if not isinstance(kept, Missing):
            return revive(kept, returns)
        at = await self._begin(key, StepStarted(name=name), name)
        await self._scribe.durable()
        began = time.monotonic()
        try:
            result = await _call(key, function, *args)
        except Exception as error:
            if isinstance(error, NOT_OURS):
                raise
            info = error_info(error)
            failed = StepFailed(name=name, error=info, duration_ms=ms_since(began))
            await self._fail(key, failed, info, at)
            raise StepError(name, info) from error
        plain = _plain(result)
        done = StepCompleted(
            name=name, duration_ms=ms_since(began), result=plain if public else None
        )
        await self._scribe.emit(
            done, at, key=f"{key}/completed", effects=[self._scribe.remember(key, plain)]
        )
        return result

    async def tool(
        self,
        name: str,
        function: Callable[..., Awaitable[JsonValue] | JsonValue],
        args: Mapping[str, Any] | None = None,
        *,
        call_id: str | None = None,
    ) -> JsonValue:
        """Call a tool with named arguments, once, showing call and result; on replay return the recorded result."""
        key = self._key(f"tool:{name}")
        kept = self._recorded(key, name)
        if not isinstance(kept, Missing):
            return kept
        call = call_id or f"{self.run_id}.{key}"
        given = dict(args or {})
        at = await self._begin(key, ToolStarted(call_id=call, name=name, args=given), name)
        await self._scribe.durable()
        began = time.monotonic()
        try:
            result = _plain(await _call(key, function, **given))
        except Exception as error:
            if isinstance(error, NOT_OURS):
                raise
            info = error_info(error)
            failed = ToolFailed(call_id=call, name=name, error=info, duration_ms=ms_since(began))
            await self._fail(key, failed, info, at)
            raise StepError(name, info) from error
        done = ToolCompleted(call_id=call, name=name, result=result, duration_ms=ms_since(began))
        await self._scribe.emit(
            done, at, key=f"{key}/completed", effects=[self._scribe.remember(key, result)]
        )
        return result

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


def _failure_key(key: str) -> str:
    return f"{key}/failure"


async def _call(
    key: str, function: Callable[..., Awaitable[T] | T], *args: Any, **kwargs: Any
) -> T:
    token = _step_key.set(key)
    try:
        value = function(*args, **kwargs)
        return cast("T", await value) if inspect.isawaitable(value) else cast("T", value)
    finally:
        _step_key.reset(token)


def _plain(value: object) -> JsonValue:
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return cast("JsonValue", plain)
