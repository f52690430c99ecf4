"""Waiting for people and for time: the run gives its worker back and is replayed to where it waited."""

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


NO_DEFAULT: Any = object()
"""What says that there is no default: None is an answer like any other."""


class InputTimedOut(HoldfastError):
    """Nobody answered before the deadline."""

    code = "input-expired"


class Wait(Core):
    """The waiting part of `ctx`."""

    async def input(
        self,
        prompt: str,
        *,
        schema: Any = None,
        timeout_s: float | None = None,
        default: Any = NO_DEFAULT,
    ) -> Any:
        """Ask a person and return the answer.

        `schema` is a type that pydantic can validate, or a JSON Schema as a dict: answers that don't satisfy it are
        refused at the door. When nobody answers within `timeout_s`, `default` is the answer; without one,
        InputTimedOut is raised.
        """
        key = self._key("input")
        input_id = f"{self.run_id}.{key}"
        # The moment of asking is recorded first, so that every replay knows the same deadline.
        asked_at = await self.now()
        kept = self._scribe.result(answer_key(input_id))
        if not isinstance(kept, Missing):
            return revive(kept, None if isinstance(schema, dict) else schema)
        deadline = None if timeout_s is None else asked_at + timedelta(seconds=timeout_s)
        left = math.inf if deadline is None else (deadline - self._scribe.now()).total_seconds()
        # Judged once: a worker whose clock is behind must not wait again for what is known to have expired.
        if left <= 0 or self._scribe.recorded(expired_key(input_id)):
            expired = InputExpired(input_id=input_id, duration_ms=int(1000 * (timeout_s or 0)))
            # From here on the row says so too: an answer that comes later is refused at the door.
            self._scribe.waiting.pop(input_id, None)
            change = RunChange(
                run_id=self.run_id, status=RunStatus.RUNNING, waiting=dict(self._scribe.waiting)
            )
            await self._scribe.emit(expired, self._at, key=expired_key(input_id), effects=[change])
            if default is not NO_DEFAULT:
                return default
            raise InputTimedOut(
                f"workflow {self._scribe.run.workflow!r} asked {prompt!r} and nobody answered within"
                f" {timeout_s or 0:g} s; give people longer with timeout_s, or a default to go on with"
            )
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
        return await self._scribe.wait(asked, {input_id: waiting}, due_in_s=left, held=self._held)

    async def sleep(self, seconds: float) -> None:
        """Pause. A long pause gives the worker back and survives restarts; on replay a past one takes no time."""
        wake_at = await self.now() + timedelta(seconds=seconds)
        left = (wake_at - self._scribe.now()).total_seconds()
        if left > SLEEP_IN_PLACE_MAX_S:
            await self._scribe.wait([], {}, due_in_s=left, held=self._held)
        elif left > 0:
            await self._scribe.clock.sleep(left)


def _json_schema(schema: Any) -> dict[str, Any] | None:
    if schema is None or isinstance(schema, dict):
        return schema
    return TypeAdapter(schema).json_schema()
