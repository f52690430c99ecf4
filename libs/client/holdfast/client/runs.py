"""Runs: asked for, looked at, told things, ended."""

from datetime import datetime
from typing import Any

from holdfast.client.answers import Json, OnBusy, Ticket, present, segment
from holdfast.client.calls import Calls, key_or_new


class RunCalls(Calls):
    """The calls that are about one run."""

    async def start(
        self,
        workflow: str,
        input: Any = None,
        session_id: str | None = None,
        *,
        on_busy: OnBusy | None = None,
        start_at: datetime | None = None,
        user_id: str | None = None,
        priority: int | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> Ticket:
        """Ask for a run in a session, or in a new one. `start_at` must be aware.

        `priority` is from -100 to 100, a point worth six seconds of waiting; the run may take `timeout_s` from its
        first start, or its workflow's own limit if that is less.
        With a key of your own the same call gives the same run, also from another process.
        """
        if start_at is not None and start_at.tzinfo is None:
            raise ValueError("start_at needs a time zone")
        body = present(
            workflow=workflow,
            input=input,
            on_busy=on_busy,
            start_at=None if start_at is None else start_at.isoformat(),
            user_id=user_id,
            priority=priority,
            timeout_s=timeout_s,
        )
        path = "/v1/runs" if session_id is None else f"/v1/sessions/{segment(session_id)}/runs"
        answer = await self._object("POST", path, body=body, key=key_or_new(idempotency_key))
        try:
            return Ticket(str(answer["run_id"]), str(answer["session_id"]), int(answer["after"]))
        except (KeyError, TypeError, ValueError) as error:
            raise self._strange(f"no ticket: {error}") from error

    async def run(self, run_id: str) -> Json:
        """Look a run up."""
        return await self._object("GET", f"/v1/runs/{segment(run_id)}")

    async def cancel(
        self, run_id: str, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Json:
        """Ask for the end of a run."""
        return await self._object(
            "POST",
            f"/v1/runs/{segment(run_id)}/cancel",
            body=present(reason=reason),
            key=key_or_new(idempotency_key),
        )

    async def answer(
        self, run_id: str, input_id: str, value: Any, *, idempotency_key: str | None = None
    ) -> Json:
        """Answer a run's request for input; the first answer counts."""
        return await self._object(
            "POST",
            f"/v1/runs/{segment(run_id)}/input",
            body={"input_id": input_id, "value": value},
            key=key_or_new(idempotency_key),
        )

    async def steer(self, run_id: str, value: Any, *, idempotency_key: str | None = None) -> Json:
        """Tell a run something that it did not ask for; it sees what it is told in the order of
        telling.
        """
        return await self._object(
            "POST",
            f"/v1/runs/{segment(run_id)}/input",
            body={"value": value},
            key=key_or_new(idempotency_key),
        )

    async def workflows(self) -> list[Json]:
        """Return what can be run: names, versions, input schemas, load errors, live workers."""
        return await self._list("/v1/workflows")
