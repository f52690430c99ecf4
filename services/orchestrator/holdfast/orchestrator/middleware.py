"""What applications put around the execution of their agents: look at events before they are appended, and at attempts.

    class Audit(Middleware):
        def before(self, run, emission):        enrich, redact, or raise: before anything is recorded
            return with_metadata(emission, region="eu")
        async def around(self, run, call):      block (raise), retry (call again), time, …
            return await call()

    audit = Audit()                             found in every module of workflows that a worker loads

They are asked in order: by `order`, then as they were declared. The first sees an event first, and is outermost around
an attempt. `before` is no coroutine on purpose: between an event and its append there is no pause, else the lanes of a
run would overtake each other; whoever has to look something up does that in `around`.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import structlog
from pydantic import JsonValue

from holdfast.events.catalog import (
    CommandAccepted,
    ErrorInfo,
    Event,
    MiddlewareExecuted,
    MiddlewareFailed,
    RunCancelled,
    RunFailed,
    RunResumed,
    RunRetrying,
    RunStarted,
)
from holdfast.events.clock import jittered
from holdfast.events.errors import EventInvalid, HoldfastError, StoreUnavailable
from holdfast.events.kinds import is_delta
from holdfast.events.recorded import Emission
from holdfast.events.store import Run
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.scribe import Scribe
from holdfast.orchestrator.session_log import Fenced

Call = Callable[[], Awaitable[JsonValue]]

# Retrying runs as a whole is for what passes soon; what takes longer is a step's own retry, or a new run.
RETRY_TRIES = 3
RETRY_FIRST_S = 1.0
RETRY_LAST_S = 30.0
RETRY_SPREAD = 0.2

log = structlog.get_logger("holdfast.middleware")


class Blocked(HoldfastError):
    """A middleware does not let this happen; the run fails with the code `blocked`."""

    code = "blocked"


class MiddlewareBroke(EventInvalid):
    """A middleware raised while it looked at an event: the event is not appended."""

    code = "middleware-failed"

    def __init__(self, name: str, type_: str, error: Exception) -> None:
        super().__init__(f"middleware {name!r} refused {type_}: {error or type(error).__name__}")
        self.name = name

    def info(self) -> ErrorInfo:
        """Return it as events carry it."""
        return ErrorInfo(code=self.code, message=str(self))


class Middleware:
    """The base of a middleware: it lets everything through as it is. Override what you need."""

    name: str = ""  # in events and logs; the class's name, if empty
    order: int = 0  # lower comes first

    def before(self, run: Run, emission: Emission) -> Emission:
        """Return what is appended in place of `emission`: its data and metadata may change, its type and key not.

        Also called for pieces of streamed text, as they are after joining. What is raised keeps the event out of the
        log and reaches the workflow where it emitted the event. Must be quick.
        """
        return emission

    async def around(self, run: Run, call: Call) -> JsonValue:
        """Run the attempt by `await call()` and return its result, or another one. Raise to fail the run.

        Calling again replays the workflow as a takeover does: what is recorded is not done again. That is for plain
        workflows; other executors know their own retries. A child run has attempts of its own, inside of its parent's,
        and `run.parent_run_id`.
        """
        return await call()


class RetryRuns(Middleware):
    """Tries a failing workflow again, with growing pauses; each time `run.retrying` is recorded."""

    name = "retry"

    def __init__(
        self,
        *,
        tries: int = RETRY_TRIES,
        first_s: float = RETRY_FIRST_S,
        on: tuple[type[Exception], ...] = (Exception,),
        order: int = 0,
    ) -> None:
        self.tries, self.first_s, self.on, self.order = tries, first_s, on, order

    async def around(self, run: Run, call: Call) -> JsonValue:
        """Call until it succeeds, or has failed `tries` times."""
        for n in range(1, self.tries):
            try:
                return await call()
            except (Blocked, Fenced, StoreUnavailable):
                raise
            except self.on as error:
                pause_s = min(RETRY_LAST_S, self.first_s * 2.0 ** (n - 1))
                await self._pause(call, error, pause_s)
        return await call()

    @staticmethod
    async def _pause(call: Call, error: Exception, pause_s: float) -> None:
        assert isinstance(call, _Inner), "a middleware is called by a chain"
        scribe = call.scribe
        pause_s = jittered(pause_s, RETRY_SPREAD, scribe.chance)
        await scribe.emit(
            RunRetrying(
                error=error_info(error),
                delay_ms=int(pause_s * 1000),
                next_attempt=scribe.attempt,
            )
        )
        await scribe.clock.sleep(pause_s)


class Chain:
    """The middlewares of one worker, in order."""

    def __init__(self, middlewares: Iterable[Middleware] = ()) -> None:
        self._all: Sequence[Middleware] = sorted(middlewares, key=lambda one: one.order)

    def before(self, run: Run, emissions: Sequence[Emission]) -> Sequence[Emission]:
        """Return what is appended. Raises MiddlewareBroke; an event that a run can't do without is stripped instead."""
        if not self._all:
            return emissions
        return [self._before(run, emission) for emission in emissions]

    async def around(self, scribe: Scribe, call: Call) -> JsonValue:
        """Run an attempt through all of them."""
        for middleware in reversed(self._all):
            call = _Layer(middleware, scribe, call)
        return await call()

    def _before(self, run: Run, emission: Emission) -> Emission:
        for middleware in self._all:
            given = emission
            try:
                emission = middleware.before(run, emission)
                _check(given, emission)
            except Exception as error:
                name = name_of(middleware)
                log.warning("middleware.refused", middleware=name, type=given.event.type)
                stripped = _stripped(given.event, name)
                if stripped is None:
                    raise MiddlewareBroke(name, given.event.type, error) from error
                # What it would have hidden must not be told, and the run must begin and end all the same.
                return Emission(stripped, replace(given.context, metadata={}), given.key)
        return emission


class _Layer:
    """One middleware around what is inside it; tells in the log how it went."""

    def __init__(self, middleware: Middleware, scribe: Scribe, inner: Call) -> None:
        self.scribe = scribe
        self._middleware, self._inner = middleware, inner
        self._passing: Exception | None = None  # what the inside raised

    async def __call__(self) -> JsonValue:
        name, clock = name_of(self._middleware), self.scribe.clock
        begun = clock.monotonic()
        inner: Call = _Inner(self)
        try:
            result = await self._middleware.around(self.scribe.run, inner)
        except Exception as error:
            took_ms = int((clock.monotonic() - begun) * 1000)
            if error is self._passing:
                # Not its own failure: it let through what came.
                await self._tell(MiddlewareExecuted(name=name, duration_ms=took_ms))
            else:
                failed = MiddlewareFailed(name=name, duration_ms=took_ms, error=error_info(error))
                await self._tell(failed)
            raise
        took_ms = int((clock.monotonic() - begun) * 1000)
        await self._tell(MiddlewareExecuted(name=name, duration_ms=took_ms))
        return result

    async def inside(self) -> JsonValue:
        """Call what is inside, and remember what it raises."""
        try:
            return await self._inner()
        except Exception as error:
            self._passing = error
            raise

    async def _tell(self, event: Event) -> None:
        if not self.scribe.over:
            await self.scribe.emit(event)


class _Inner:
    """What a middleware calls; knows the pen, for middlewares of ours."""

    def __init__(self, layer: _Layer) -> None:
        self.scribe, self._layer = layer.scribe, layer

    async def __call__(self) -> JsonValue:
        return await self._layer.inside()


def with_metadata(emission: Emission, **metadata: JsonValue) -> Emission:
    """Return the emission with more in its metadata, for enriching middlewares."""
    context = emission.context
    return replace(emission, context=replace(context, metadata={**context.metadata, **metadata}))


def with_data(emission: Emission, **fields: Any) -> Emission:
    """Return the emission with other values in some of its event's fields, for redacting middlewares."""
    return replace(emission, event=emission.event.model_copy(update=fields))


def name_of(middleware: Middleware) -> str:
    """Return how a middleware is called in events."""
    return middleware.name or type(middleware).__name__


def _check(given: Emission, made: Emission) -> None:
    if made.event.type != given.event.type or made.key != given.key:
        raise ValueError("a middleware may change neither an event's type nor its key")
    if made.context.run_id != given.context.run_id:
        raise ValueError("a middleware may not move an event to another run")


def _stripped(event: Event, name: str) -> Event | None:
    """Return an event without whatever a middleware refused about it; None when the run can do without it."""
    reason = ErrorInfo(code="middleware-failed", message=f"middleware {name!r} refused the details")
    match event:
        case RunStarted():
            return event.model_copy(update={"input": None})
        case RunFailed():
            return event.model_copy(update={"error": reason})
        case RunCancelled():
            return event.model_copy(update={"reason": None})
        case MiddlewareFailed():
            return event.model_copy(update={"error": reason})
        case MiddlewareExecuted() | RunResumed() | CommandAccepted():
            # The run's cancellation is recorded with the last one.
            return event
        case _ if is_delta(event.type):
            # From a timer there is nobody to tell. The whole text comes later, and is looked at again.
            return event.model_copy(update={"text": ""})
        case _:
            # A result that is refused fails the run: RunCompleted's place is taken by RunFailed.
            return None
