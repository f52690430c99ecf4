"""A recorded event as handlers get it, and what may handle it: a function or an object, async or not."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

from holdfast.events.catalog import Event
from holdfast.events.errors import HoldfastError
from holdfast.events.recorded import RecordedEvent


class Position(NamedTuple):
    """A place in the whole log, in commit order. As everywhere, reading after it is exclusive."""

    tx: int
    session: int
    seq: int

    def __str__(self) -> str:
        return f"{self.tx}.{self.session}.{self.seq}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read what `str` wrote. Raises ValueError."""
        parts = text.split(".")
        if len(parts) != 3 or not all(part.isascii() and part.isdecimal() for part in parts):
            raise ValueError(f"{text[:60]!r} is no position, such as 4711.12.3")
        position = cls(*map(int, parts))
        if max(position) >= 2**63:
            raise ValueError(f"{text[:60]!r} is beyond any position")
        return position


ORIGIN = Position(0, 0, 0)
"""Before the first event."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A recorded event, and where it is from.

    `event_id` is the key for making repetition harmless: every delivery of an event carries the same one, and no
    other event ever has it.
    """

    recorded: RecordedEvent
    event_id: UUID
    session: int
    tenant: str
    position: Position | None = None  # None: from the bus
    tries: int = 0  # how often it has failed before

    @property
    def type(self) -> str:
        """The event's type."""
        return self.recorded.type

    @property
    def seq(self) -> int:
        """Its place in its session."""
        return self.recorded.seq

    @property
    def run_id(self) -> str | None:
        """The run that it belongs to, if any."""
        return self.recorded.run_id

    @property
    def envelope(self) -> dict[str, Any]:
        """The whole wire object."""
        return self.recorded.envelope

    @property
    def session_id(self) -> str:
        """The session, as its tenant calls it."""
        return self.recorded.envelope["session_id"]

    @property
    def agent(self) -> str | None:
        """The agent that it is about, if any."""
        return self.recorded.envelope.get("agent")

    @property
    def data(self) -> dict[str, Any]:
        """The event's own fields, as JSON."""
        return self.recorded.envelope["data"]

    @property
    def event(self) -> Event:
        """The typed event."""
        return self.recorded.event

    @property
    def ts(self) -> datetime:
        """When it happened, by its worker's clock."""
        return self.recorded.ts


Handler = Callable[[Delivery], Awaitable[None]]
"""Handles one event: returning means done, raising means not done."""

ManyHandler = Callable[[tuple[Delivery, ...]], Awaitable[None]]
"""Handles several events as one."""


@runtime_checkable
class Handles(Protocol):
    """An object that handles events; its `handle` may be async or not."""

    def handle(self, event: Delivery) -> Any:
        """Handle one event."""
        ...


class GiveUp(HoldfastError):
    """Raised by a handler: trying this event again would be of no use."""


def as_handler(
    given: Handles | Callable[[Delivery], Any], executor: Executor | None = None
) -> Handler:
    """Return one form for all kinds of handlers.

    What isn't async is called in a thread: a function that blocks must hold up nobody else. Raises TypeError.
    """
    call: Callable[[Delivery], Any]
    if isinstance(given, Handles):
        call = given.handle
    elif callable(given):
        call = given
    else:
        raise TypeError(
            f"{given!r} is no handler: a function of one event, or an object with `handle`"
        )
    if _is_async(call):
        return call

    @functools.wraps(call, updated=())
    async def in_thread(event: Delivery) -> None:
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(executor, call, event)
        if inspect.isawaitable(answer):  # a lambda around an async function
            await answer

    return in_thread


def name_of(given: object) -> str:
    """Return what to call a handler in logs and numbers."""
    name = getattr(given, "__qualname__", None) or getattr(given, "__name__", None)
    return str(name or type(given).__qualname__)


def _is_async(call: Callable[..., Any]) -> bool:
    while isinstance(call, functools.partial):
        call = call.func
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(
        getattr(call, "__call__", None)  # noqa: B004 - not whether it is callable, but how
    )
