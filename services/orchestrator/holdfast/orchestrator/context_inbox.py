"""Steering: what people tell a run while it is at work, in the order in which they said it.

A note is in the log before the workflow sees it, and which call saw it is recorded too: a replay sees the same notes
at the same places.
"""

import math
from collections.abc import AsyncGenerator
from typing import Any

from pydantic import JsonValue

from holdfast.orchestrator.context_core import Core, revive
from holdfast.orchestrator.inputs import NOTE_PREFIX
from holdfast.orchestrator.scribe import Missing


class Inbox(Core):
    """The listening part of `ctx`."""

    async def notes(self, *, returns: Any = None) -> list[Any]:
        """Return what was said since the last look, maybe nothing; each note is seen once."""
        place = self._key("notes")
        taken = self._scribe.result(place)
        if isinstance(taken, Missing):
            keys = self._untaken()
            await self._take(place, keys)
        else:
            keys = [str(key) for key in taken] if isinstance(taken, list) else []
        return [revive(self._note(key), returns) for key in keys]

    async def note(self, *, returns: Any = None) -> Any:
        """Return the next note; until somebody says something the run waits, and holds no worker."""
        place = self._key("note")
        taken = self._scribe.result(place)
        if isinstance(taken, Missing):
            if not self._untaken():
                await self._scribe.wait(
                    [], {}, due_in_s=math.inf, held=self._held, ready=lambda: bool(self._untaken())
                )
            taken = [self._untaken()[0]]
            await self._take(place, taken)
        [key] = taken if isinstance(taken, list) else [taken]
        return revive(self._note(str(key)), returns)

    async def inbox(self, *, returns: Any = None) -> AsyncGenerator[Any]:
        """Yield every note as it comes, for as long as the workflow listens."""
        while True:
            yield await self.note(returns=returns)

    def _untaken(self) -> list[str]:
        keys = self._scribe.keys(NOTE_PREFIX)
        return [key for key in keys if isinstance(self._scribe.result(_taken(key)), Missing)]

    async def _take(self, place: str, keys: list[Any]) -> None:
        """Record that this place saw these notes, before anybody sees them."""
        kept = [self._scribe.remember(place, keys)]
        kept += [self._scribe.remember(_taken(key), True) for key in keys]
        await self._scribe.emit_with([], kept)
        await self._scribe.durable()

    def _note(self, key: str) -> JsonValue:
        note = self._scribe.result(key)
        return None if isinstance(note, Missing) else note


def _taken(key: str) -> str:
    return f"taken:{key}"
