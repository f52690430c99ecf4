"""Waiting for people and for time: the run gives its worker back and is replayed to where it waited."""

import asyncio
import math
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

from holdfast.events.catalog import InputExpired, InputRequested
from holdfast.events.errors import HoldfastError
from holdfast.events.recorded import Emission
from holdfast.events.store import RunChange, RunStatus
from holdfast.orchestrator.context_core import Core, revive
from holdfast.orchestrator.inputs import answer_key, expired_key, waiting_for
from holdfast.orchestrator.scribe import Missing

# A shorter pause is waited out in place: releasing and claiming the session would cost more than it saves.
SLEEP_IN_PLACE_MAX_S = 5.0


class InputTimedOut(HoldfastError):
    """Nobody answered before the deadline."""

    code = "input-expired"


class Wait(Core):
    """The waiting part of `ctx`."""

    async def input(
        self, prompt: str, *, schema: Any = None, timeout_s: float | None = None
    ) -> Any:
        """Ask a person and return the answer.

        `schema` is a type that pydantic can validate, or a JSON Schema as a dict: answers that don't satisfy it are
        refused at the door. Raises InputTimedOut when nobody answers within `timeout_s`.
        """
        key = self._key("input")
        input_id = f"{self.run_id}.{key}"
        # The moment of asking is recorded first, so that every replay knows the same deadline.
        asked_at = await self.now()
        kept = self._scribe.result(answer_key(input_id))
        if not isinstance(kept, Missing):
            return revive(kept, None if isinstance(schema, dict) else schema)
        deadline = None if timeout_s is None else asked_at + timedelta(seconds=timeout_s)
        left = (
            math.inf if deadline is None else (deadline - self._scribe.clock.now()).total_seconds()
        )
        # Judged once: a worker whose clock is behind must not wait again for what is known to have expired.
        if left <= 0 or self._scribe.recorded(expired_key(input_id)):
            expired = InputExpired(input_id=input_id, duration_ms=int(1000 * (timeout_s or 0)))
            # From here on the row says so too: an answer that comes later is refused at the door.
            change = RunChange(run_id=self.run_id, status=RunStatus.RUNNING, waiting={})
            await self._scribe.emit(expired, self._at, key=expired_key(input_id), effects=[change])
            raise InputTimedOut(f"nobody answered {prompt!r} within {timeout_s:g} s")
        value_schema = _json_schema(schema)
        asked: list[Emission] = []
        if not self._scribe.recorded(f"{key}/requested"):
            event = InputRequested(
                input_id=input_id, prompt=prompt, value_schema=value_schema, deadline=deadline
            )
            asked.append(Emission(event, self._at, f"{key}/requested"))
        waiting = waiting_for(
            prompt,
            value_schema=value_schema,
            deadline=deadline.isoformat() if deadline else None,
            asked_ms=int(asked_at.timestamp() * 1000),
        )
        return await self._scribe.wait(asked, {input_id: waiting}, due_in_s=left)

    async def sleep(self, seconds: float) -> None:
        """Pause. A long pause gives the worker back and survives restarts; on replay a past one takes no time."""
        wake_at = await self.now() + timedelta(seconds=seconds)
        left = (wake_at - self._scribe.clock.now()).total_seconds()
        if left > SLEEP_IN_PLACE_MAX_S:
            await self._scribe.wait([], {}, due_in_s=left)
        elif left > 0:
            await asyncio.sleep(left)


def _json_schema(schema: Any) -> dict[str, Any] | None:
    if schema is None or isinstance(schema, dict):
        return schema
    return TypeAdapter(schema).json_schema()
