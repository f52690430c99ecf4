"""Runs in sessions of our own: started, asked for twice, cancelled, and waited for."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import uuid4

from holdfast.client import Holdfast, ProblemError, Unreachable
from holdfast.events.store import RunStatus
from holdfast.verify.history import Ask
from holdfast.verify.plan import Plan, Timeline

# A ticker of 20 to 60 events, one every 20 to 50 ms: 0.4 to 3 s, so that a short verification sees several ends.
EVENTS = (20, 60)
INTERVAL_MS = (20, 50)

# One run in six is cancelled somewhere in its first second, one start in six is sent twice with the same key.
CANCEL_CHANCE = TWICE_CHANCE = 1 / 6
CANCEL_WITHIN_S = 1.0

# A run is looked at twice a second until it has ended.
LOOK_EVERY_S = 0.5

# Between two tries of what no gateway could serve.
_RETRY_S = 0.5

_SERVER_ERRORS = 500

T = TypeVar("T")


class Load:
    """Starts runs for a while. `asks` is everything that was answered with success."""

    def __init__(self, plan: Plan, client: Holdfast, timeline: Timeline) -> None:
        self.asks: list[Ask] = []
        self.open: set[str] = set()  # runs that have not been seen to end
        self.full = False  # no further runs: the verifier holds as much as it may
        self._plan, self._client, self._timeline = plan, client, timeline

    async def drive(
        self, session: str, until: float, on_run: Callable[[str, str, int], None]
    ) -> None:
        """Start one run after the other in `session` until the time `until`; `on_run` is told session, run, after."""
        chance = random.Random(f"{self._plan.seed}/{session.rpartition('-')[2]}/runs")
        while self._timeline.now() < until and not self.full:
            run_id, after = await self._start(session, chance)
            on_run(session, run_id, after)
            cancel_at = None
            if chance.random() < CANCEL_CHANCE:
                cancel_at = self._timeline.now() + chance.uniform(0, CANCEL_WITHIN_S)
            await self._see_it_end(session, run_id, until, cancel_at)

    async def ended(self, run_id: str) -> bool:
        """Tell whether a run has ended, and remember it."""
        run = await self.patiently(lambda: self._client.run(run_id))
        if RunStatus(run["status"]).ended:
            self.open.discard(run_id)
            return True
        return False

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call that may be made again until it is served, for as long as the plan has patience."""
        deadline = self._timeline.now() + self._plan.patience_s
        while True:
            try:
                return await call()
            except (Unreachable, ProblemError) as error:
                passing = isinstance(error, Unreachable) or error.status >= _SERVER_ERRORS
                if not passing or self._timeline.now() > deadline:
                    raise
            await asyncio.sleep(_RETRY_S)

    async def _start(self, session: str, chance: random.Random) -> tuple[str, int]:
        input_: Any = self._plan.input
        if input_ is None:
            input_ = {
                "events": chance.randint(*EVENTS),
                "interval_ms": chance.randint(*INTERVAL_MS),
            }
        key = str(uuid4())

        async def ask() -> tuple[str, int]:
            at = self._timeline.now()
            ticket = await self._client.start(
                self._plan.workflow, input_, session, idempotency_key=key
            )
            self.open.add(ticket.run_id)
            self.asks.append(
                Ask(kind="start", session=session, run_id=ticket.run_id, at=at, key=key)
            )
            return ticket.run_id, ticket.after

        found = await self.patiently(ask)
        if chance.random() < TWICE_CHANCE:
            await self.patiently(ask)
        return found

    async def _see_it_end(
        self, session: str, run_id: str, until: float, cancel_at: float | None
    ) -> None:
        while self._timeline.now() < until:
            now = self._timeline.now()
            if cancel_at is not None and now >= cancel_at:
                cancel_at = None
                await self._cancel(session, run_id)
            if await self.ended(run_id):
                return
            wait = LOOK_EVERY_S if cancel_at is None else min(LOOK_EVERY_S, cancel_at - now)
            await asyncio.sleep(max(0.0, wait))

    async def _cancel(self, session: str, run_id: str) -> None:
        at, key = self._timeline.now(), str(uuid4())
        try:
            await self.patiently(
                lambda: self._client.cancel(run_id, reason="verify", idempotency_key=key)
            )
        except ProblemError as error:
            if error.code != "run-ended":
                raise
        else:
            self.asks.append(Ask(kind="cancel", session=session, run_id=run_id, at=at, key=key))
