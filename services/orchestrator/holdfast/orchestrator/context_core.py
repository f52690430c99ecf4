"""The part of `ctx` that everything else stands on: who this run is, keys made from places, and recorded values."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Self, cast
from uuid import UUID

from pydantic import JsonValue, TypeAdapter

from holdfast.events.catalog import Event, StepRestarted
from holdfast.events.errors import HoldfastError
from holdfast.events.recorded import Context
from holdfast.orchestrator.scribe import Missing, Scribe


class MisplacedCall(HoldfastError):
    """Two tasks use the same name on the same `ctx`: on replay nobody could tell their calls apart."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"two tasks use ctx for {name!r} at once; give each parallel branch a ctx of its own:"
            " await ctx.parallel({'a': work, 'b': work}), or ctx.branch('a') and ctx.branch('b')"
        )


class Core:
    """One place in one attempt of a run: a scope for keys and a context for events."""

    def __init__(self, scribe: Scribe, *, scope: str = "", at: Context | None = None) -> None:
        self._scribe, self._scope = scribe, scope
        self._held = scribe.held  # others of this run are at work: a wait here is not yet the run's
        self._at = at or scribe.context
        self._ordinals: Counter[str] = Counter()
        self._stage: list[str | None] = [None]
        self._users: dict[str, asyncio.Task[Any] | None] = {}  # which task uses which name here

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._scribe.run.run_id

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._scribe.run.session_id

    @property
    def attempt(self) -> int:
        """Which try at the run this is, from 1."""
        return self._scribe.attempt

    async def emit(self, event: Event) -> bool:
        """Append an event, once; return False on replay, when it is in the log already."""
        return await self._scribe.emit(event, self._at, key=self._key(event.type))

    async def value(self, name: str, make: Callable[[], JsonValue]) -> JsonValue:
        """Make a small value once and record it without an event; on replay return the recorded one."""
        key = self._key(name)
        kept = self._scribe.result(key)
        if isinstance(kept, Missing):
            kept = make()
            await self._scribe.keep(key, kept)
        return kept

    async def now(self) -> datetime:
        """Return the time, the same on every replay."""
        return datetime.fromisoformat(
            str(await self.value("now", lambda: self._scribe.now().isoformat()))
        )

    async def random(self) -> float:
        """Return a random number in [0, 1), the same on every replay."""
        return float(cast("float", await self.value("random", self._scribe.chance.random)))

    async def uuid(self) -> UUID:
        """Return a random UUID, the same on every replay."""
        bits = await self.value("uuid", lambda: f"{self._scribe.chance.getrandbits(128):032x}")
        return UUID(hex=str(bits), version=4)

    def branch(self, name: str) -> Self:
        """Return a ctx of its own for a parallel branch: its events carry `name` as their lane."""
        return self._lane(self._key(f"branch:{name}"), name)

    def _lane(self, key: str, name: str, *, held: bool = False) -> Self:
        """Return the ctx of a branch; a branch of a branch has a path as its lane."""
        outer = self._at.lane
        inner = self._inside(key, lane=f"{outer}/{name}" if outer else name)
        # Which branch changes a stage first is chance: each has its own from here on.
        inner._stage = list(self._stage)
        inner._held = inner._held or held
        return inner

    def _inside(self, key: str, **fields: Any) -> Self:
        """Return the same thing one scope further in, for events that carry `fields`."""
        inner = type(self)(self._scribe, scope=f"{key}/", at=replace(self._at, **fields))
        inner._stage, inner._held = self._stage, self._held
        return inner

    def _key(self, name: str) -> str:
        """Return the next key of this name in this scope: `scope/name#ordinal`, the same on every replay.

        Raises MisplacedCall when two tasks use the same name here: which came first is chance, and so would be the
        ordinals.
        """
        place = f"{self._scope}{name}"
        task = asyncio.current_task()
        if self._users.setdefault(place, task) is not task:
            raise MisplacedCall(name)
        self._ordinals[place] += 1
        return f"{place}#{self._ordinals[place]}"

    async def _begin(self, key: str, started: Event, name: str) -> Context:
        """Record that a step begins, or begins anew after an attempt that did not finish it.

        `step.restarted` makes readers drop all that the step showed before, so it is shown again from its start.
        """
        at = replace(self._at, step=key)
        if not await self._scribe.emit(started, at, key=f"{key}/started"):
            await self._scribe.emit(StepRestarted(name=name), at)
            await self._scribe.emit(started, at)
        return at


def ms_since(began: float) -> int:
    """Return the milliseconds since a moment of the monotonic clock."""
    return int((time.monotonic() - began) * 1000)


def revive(kept: JsonValue, returns: Any) -> Any:
    """Return a recorded value as the type that the caller wants, or as plain JSON."""
    return kept if returns is None else TypeAdapter(returns).validate_python(kept)
