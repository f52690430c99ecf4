"""Steps and tools: what a workflow does, recorded so that it is done once."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from pydantic import BaseModel, JsonValue

from holdfast.events.catalog import (
    ErrorInfo,
    Event,
    StepCompleted,
    StepFailed,
    StepRetrying,
    StepStarted,
    ToolCompleted,
    ToolFailed,
    ToolStarted,
)
from holdfast.events.errors import HoldfastError
from holdfast.events.recorded import Context
from holdfast.orchestrator.context_core import Core, ms_since, revive
from holdfast.orchestrator.current import idempotency, idempotency_key
from holdfast.orchestrator.offload import Offload, offloaded
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.retrying import ONCE, Retry
from holdfast.orchestrator.scribe import Missing
from holdfast.orchestrator.waits import NOT_OURS

T = TypeVar("T")

TIMEOUT_CODE = "step-timeout"


class StepError(HoldfastError):
    """A step or tool failed; `failure` tells how. On the attempt that saw it happen, what was raised is the cause."""

    def __init__(self, name: str, info: ErrorInfo, *, workflow: str | None = None) -> None:
        where = f"{name!r} of workflow {workflow!r}" if workflow else name
        super().__init__(f"{where}: {info.message}")
        self.name, self.failure = name, info
        self.code, self.retryable = info.code, info.retryable


class StepTimeout(StepError, TimeoutError):
    """A step or tool took longer than its `timeout_s`, and was stopped."""

    def __init__(self, name: str, info: ErrorInfo, *, workflow: str | None = None) -> None:
        StepError.__init__(self, name, info, workflow=workflow)


class Steps(Core):
    """The doing part of `ctx`."""

    @property
    def idempotency_key(self) -> str:
        """A key for external effects of the current step: the same on every attempt. `run_id:step_key`."""
        key = idempotency_key()
        if key is None:
            raise HoldfastError(
                f"workflow {self._scribe.run.workflow!r} asks for ctx.idempotency_key outside of a step:"
                " it is only defined inside the function of a step or tool"
            )
        return key

    async def step(
        self,
        name: str,
        function: Callable[..., Awaitable[T] | T],
        *args: Any,
        retry: Retry = ONCE,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        offload: Offload | None = None,
        public: bool = False,
        returns: type[T] | None = None,
    ) -> T:
        """Call `function(*args)` once and record its result; on replay return the recorded result.

        The function is called only after `step.started` is on disk. Its result must be JSON, or a pydantic model
        (name the type with `returns` to get one back on replay); it stays off the wire unless `public`. What it does
        outside happens at least once: give the outside `ctx.idempotency_key`, or one of your own through
        `idempotency_key`. When it raises, it is called again as `retry` says, and each call that failed is told by
        `step.retrying`; then StepError is recorded and raised, here and on every replay: what a workflow catches once
        it catches always. A call that takes longer than `timeout_s` is stopped and counts as failed; StepTimeout is
        what a last one raises.

        `offload` calls an ordinary function beside the event loop, so that neither leases nor other runs wait for it:
        in a "thread", or in a "process", which is killed when the run is cancelled or the time is up. What runs in a
        process must be importable, and finds its key with `holdfast.orchestrator.current.idempotency_key()`.
        """
        key = self._key(name)
        kept = self._recorded(key, name)
        if not isinstance(kept, Missing):
            return revive(kept, returns)
        started = StepStarted(name=name)
        at = await self._begin(key, started, name)
        failed = len(self._scribe.keys(f"{key}/retrying#"))
        call = self._call_of(key, name, idempotency_key, timeout_s, offload, function)
        while True:
            await self._scribe.durable()
            began = time.monotonic()
            try:
                result = await call(*args)
                break
            except NOT_OURS:
                raise
            except Exception as error:
                failed += 1
                info = error_info(error)
                if not retry.again(error, failed):
                    event = StepFailed(name=name, error=info, duration_ms=ms_since(began))
                    raise await self._failed(key, name, event, at) from error
                pause_s = retry.pause_s(failed, self._scribe.chance)
            again = StepRetrying(
                name=name, error=info, delay_ms=int(pause_s * 1000), next_try=failed + 1
            )
            await self._scribe.emit(again, at, key=f"{key}/retrying#{failed}")
            await self._scribe.durable()
            await self._scribe.clock.sleep(pause_s)
            await self._scribe.emit(started, at)
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
        function: Callable[..., Any],
        args: Mapping[str, Any] | None = None,
        *,
        call_id: str | None = None,
        timeout_s: float | None = None,
        offload: Offload | None = None,
    ) -> JsonValue:
        """Call a tool with named arguments, once, showing call and result; on replay return the recorded result.

        `timeout_s` and `offload` are as in `step`.
        """
        key = self._key(f"tool:{name}")
        kept = self._recorded(key, name)
        if not isinstance(kept, Missing):
            return kept
        call_id = call_id or f"{self.run_id}.{key}"
        given = dict(args or {})
        at = await self._begin(key, ToolStarted(call_id=call_id, name=name, args=given), name)
        await self._scribe.durable()
        call = self._call_of(key, name, None, timeout_s, offload, function)
        began = time.monotonic()
        try:
            result = _plain(await call(**given))
        except NOT_OURS:
            raise
        except Exception as error:
            event = ToolFailed(
                call_id=call_id, name=name, error=error_info(error), duration_ms=ms_since(began)
            )
            raise await self._failed(key, name, event, at) from error
        done = ToolCompleted(call_id=call_id, name=name, result=result, duration_ms=ms_since(began))
        await self._scribe.emit(
            done, at, key=f"{key}/completed", effects=[self._scribe.remember(key, result)]
        )
        return result

    def _recorded(self, key: str, name: str) -> JsonValue | Missing:
        """Return the recorded result of a step, MISSING if there is none yet. Raises the StepError recorded for it."""
        failure = self._scribe.result(_failure_key(key))
        if not isinstance(failure, Missing):
            raise self._error(name, ErrorInfo.model_validate(failure))
        return self._scribe.result(key)

    async def _failed(
        self, key: str, name: str, event: StepFailed | ToolFailed, at: Context
    ) -> StepError:
        """Record that a step failed for good, and return the error to raise."""
        kept = self._scribe.remember(_failure_key(key), event.error.model_dump(exclude_none=True))
        await self._scribe.emit(cast("Event", event), at, key=f"{key}/failed", effects=[kept])
        return self._error(name, event.error)

    def _error(self, name: str, info: ErrorInfo) -> StepError:
        kind = StepTimeout if info.code == TIMEOUT_CODE else StepError
        return kind(name, info, workflow=self._scribe.run.workflow)

    def _call_of(
        self,
        key: str,
        name: str,
        own_key: str | None,
        timeout_s: float | None,
        offload: Offload | None,
        function: Callable[..., Awaitable[T] | T],
    ) -> Callable[..., Awaitable[T]]:
        """Return what calls the function as it was asked for."""
        place = f"{name!r} of workflow {self._scribe.run.workflow!r}"

        async def once(*args: Any, **kwargs: Any) -> T:
            if offload is not None:
                return await offloaded(offload, place, function, *args, **kwargs)
            value = function(*args, **kwargs)
            if inspect.isawaitable(value):
                return cast("T", await value)
            if timeout_s is not None:
                raise HoldfastError(
                    f"{place} has a timeout, but nothing can stop an ordinary function in the event loop:"
                    ' make it an `async def`, or give the step offload="thread" or offload="process"'
                )
            return value

        async def call(*args: Any, **kwargs: Any) -> T:
            with idempotency(own_key or f"{self.run_id}:{key}"):
                limit = asyncio.timeout(timeout_s)
                try:
                    async with limit:
                        return await once(*args, **kwargs)
                except TimeoutError as error:
                    if not limit.expired():
                        raise
                    raise _too_long(place, timeout_s) from error

        return call


class TookTooLong(HoldfastError, TimeoutError):
    """One call took longer than its `timeout_s`: what a Retry looks at."""

    code = TIMEOUT_CODE
    retryable = True


def _too_long(place: str, timeout_s: float | None) -> TookTooLong:
    return TookTooLong(
        f"not done within its timeout of {timeout_s:g} s; give {place} more with timeout_s,"
        " or a Retry if trying again may help"
    )


def _failure_key(key: str) -> str:
    return f"{key}/failure"


def _plain(value: object) -> JsonValue:
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return cast("JsonValue", plain)
