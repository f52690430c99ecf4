"""Runs in flight: asked for over HTTP with a key, some twice, some cancelled, some behind another in one session."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx2

from holdfast.verify.history import Ask
from holdfast.verify.plan import Timeline

# What is asked for, and how often of twelve. Each takes about half a second when nobody disturbs it.
MIX: Mapping[str, int] = {"ledger": 4, "talk": 3, "ticker": 2, "team": 1, "narrow": 2}

# One in ten is cancelled, somewhere in its first half second; one in five is asked for twice under one key; one in
# four comes into a session where another run may still be under way.
CANCEL_CHANCE = 0.1
CANCEL_WITHIN_S = 0.6
TWICE_CHANCE = 0.2
BEHIND_CHANCE = 0.25

# One in three is more or less important than others; one in ten may take no longer than it does at times.
PRIORITY_CHANCE, PRIORITIES = 0.33, (-100, -1, 1, 100)
TIMEOUT_CHANCE, TIMEOUTS_S = 0.1, (0.3, 1.0, 3.0)

# A request to a gateway that was just killed fails at once; one that stands still is given up in time to ask another.
ANSWER_S = 5.0
RETRY_S = 0.1

# How often the load asks which of its runs are over: a run takes half a second.
LOOK_S = 0.1

# For as long as this somebody must answer: a restart of Postgres takes a second.
PATIENCE_S = 30.0

Answer = TypeVar("Answer")

_CONFLICT = 409
# The first try, broken off with its gateway, is still at work: this conflict passes.
_IN_FLIGHT = "idempotency-key-in-flight"
_TOO_EARLY = 425
_TOO_MANY = 429
_SERVER_ERRORS = 500


@dataclass(frozen=True, slots=True)
class Ticket:
    """A run that was accepted."""

    run_id: str
    session: str
    workflow: str
    at: float
    input: Any = None
    timeout_s: float | None = None


@dataclass(slots=True)
class Load:
    """Keeps a number of runs in flight. `asks` is everything that was answered with success."""

    gateways: Sequence[str]
    ledger: Path
    timeline: Timeline
    chance: random.Random
    on_run: Callable[[Ticket], None]
    mix: Mapping[str, int] = field(default_factory=lambda: dict(MIX))
    cancel_chance: float = CANCEL_CHANCE
    asks: list[Ask] = field(default_factory=list[Ask])
    tickets: dict[str, Ticket] = field(default_factory=dict[str, Ticket])
    open: set[str] = field(default_factory=set[str])  # runs that have not been seen to end
    _turn: int = 0
    _late: str = ""  # what was said last of a request that came too late
    _http: httpx2.AsyncClient | None = None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])

    async def keep(self, in_flight: int, ended: Callable[[Sequence[str]], Any]) -> None:
        """Keep so many runs in flight until cancelled; `ended(runs)` tells which of them are over."""
        while True:
            await self.look(ended)
            missing = in_flight - len(self.open)
            await asyncio.gather(*(self.start() for _ in range(min(missing, 4))))
            await asyncio.sleep(LOOK_S)

    async def look(self, ended: Callable[[Sequence[str]], Any]) -> None:
        """Find out which of the open runs are over."""
        if self.open:
            self.open -= set(await ended(sorted(self.open)))

    async def start(
        self,
        workflow: str | None = None,
        input: Any = None,
        *,
        plain: bool = False,
        session: str | None = None,
    ) -> Ticket:
        """Ask for a run until somebody answers. A plain one has a session of its own, or this, and isn't cancelled.

        Whoever is cancelled in the midst of asking has asked: the run may have been accepted, so it counts all the
        same, and `close` waits for the answer. Else nobody would wait for its end, and who follows its session would
        seem to have missed it.
        """
        return await asyncio.shield(
            self._later(self._start(workflow, input, plain=plain, session=session))
        )

    async def _start(
        self, workflow: str | None, input: Any, *, plain: bool, session: str | None
    ) -> Ticket:
        chance = self.chance
        if workflow is None:
            workflow = chance.choices(list(self.mix), list(self.mix.values()))[0]
        body: dict[str, Any] = {
            "workflow": workflow,
            "input": self._input(workflow) if input is None else input,
        }
        if not plain and chance.random() < PRIORITY_CHANCE:
            body["priority"] = chance.choice(PRIORITIES)
        if not plain and chance.random() < TIMEOUT_CHANCE:
            body["timeout_s"] = chance.choice(TIMEOUTS_S)
        path, key = "/v1/runs", str(uuid4())
        if session is not None:
            path = f"/v1/sessions/{session}/runs"
        elif not plain and self.tickets and chance.random() < BEHIND_CHANCE:
            recent = list(self.tickets.values())[-8:]
            path = f"/v1/sessions/{chance.choice(recent).session}/runs"
        twice, cancel = chance.random() < TWICE_CHANCE, chance.random() < self.cancel_chance
        cancel_after = chance.uniform(0, CANCEL_WITHIN_S)
        at, ticket = await self._ask(path, body, key)
        assert ticket is not None, f"a start is never too late, but: {self._late}"
        found = Ticket(
            ticket["run_id"],
            ticket["session_id"],
            workflow,
            at,
            body["input"],
            body.get("timeout_s"),
        )
        self.asks.append(
            Ask(kind="start", session=found.session, run_id=found.run_id, at=at, key=key)
        )
        self.tickets[found.run_id] = found
        self.open.add(found.run_id)
        self.on_run(found)
        if twice:
            self._later(self._again(path, body, key))
        if cancel and not plain:
            self._later(self._cancel(found, cancel_after))
        return found

    def abandon(self) -> None:
        """Ask for nothing more. Only where nobody judges: a cancel that worked unanswered looks like a fault."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Wait for what is still being asked, and close the connections."""
        while waiting := [task for task in self._tasks if not task.done()]:  # one may begin more
            await asyncio.gather(*waiting, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    def _input(self, workflow: str) -> Any:
        chance = self.chance
        match workflow:
            case "ledger":
                steps, pause = chance.randint(2, 8), chance.choice((5, 40, 120))
                return {"path": str(self.ledger), "steps": steps, "pause_ms": pause}
            case "narrow":
                return {"steps": chance.randint(2, 6), "pause_ms": chance.choice((5, 40))}
            case "talk":
                return {"messages": chance.randint(1, 3), "pieces": chance.randint(4, 16)}
            case "ticker":
                return {"events": chance.randint(5, 40), "interval_ms": chance.choice((5, 20))}
            case "team":
                return {"requirement": "a URL shortener"}
            case _:
                return {}

    def _later(self, work: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _again(self, path: str, body: Any, key: str) -> None:
        at, ticket = await self._ask(path, body, key)
        assert ticket is not None, "the same answer as the first time"
        self.asks.append(
            Ask(kind="start", session=ticket["session_id"], run_id=ticket["run_id"], at=at, key=key)
        )

    async def _cancel(self, run: Ticket, after_s: float) -> None:
        await asyncio.sleep(after_s)
        key = str(uuid4())
        at, answer = await self._ask(f"/v1/runs/{run.run_id}/cancel", {"reason": "campaign"}, key)
        if answer is not None:
            self.asks.append(
                Ask(kind="cancel", session=run.session, run_id=run.run_id, at=at, key=key)
            )

    async def _ask(self, path: str, body: Any, key: str) -> tuple[float, dict[str, Any] | None]:
        """Post until somebody answers; return when that was asked first, and the answer: None if it is too late."""
        if self._http is None:
            self._http = httpx2.AsyncClient(timeout=ANSWER_S)
        at = self.timeline.now()
        said = "nobody answered"
        while self.timeline.now() < at + PATIENCE_S:
            self._turn += 1
            url = self.gateways[self._turn % len(self.gateways)]
            try:
                answer = await self._http.post(
                    f"{url}{path}", json=body, headers={"Idempotency-Key": key}
                )
            except httpx2.TransportError as error:
                said = repr(error)
            else:
                if answer.status_code == _CONFLICT and _IN_FLIGHT not in answer.text:
                    self._late = answer.text
                    return at, None
                if answer.is_success:
                    return at, answer.json()
                said = f"{answer.status_code} {answer.text[:200]}"
                passing = answer.status_code in (_TOO_MANY, _TOO_EARLY, _CONFLICT)
                assert passing or answer.status_code >= _SERVER_ERRORS, f"{path}: {said}"
            await asyncio.sleep(RETRY_S)
        raise AssertionError(f"{path} was not answered within {PATIENCE_S:g} s: {said}")
