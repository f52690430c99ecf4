"""Those who ask: they create sessions, start, cancel and answer runs, and repeat unchanged what got no answer."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from holdfast.events.errors import (
    HoldfastError,
    InputAnswered,
    InputUnknown,
    RunEnded,
    SessionBusy,
    SessionGone,
    StoreUnavailable,
    StreamUnavailable,
)
from holdfast.events.store import Idempotency, RunRequest, Ticket
from holdfast.verify.history import Ask, Want
from tests.simulation.client import SimulatedClient
from tests.simulation.gateway import TENANT
from tests.simulation.nap import Nap
from tests.simulation.plan import RunPlan, SessionPlan
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

# A cursor that no log reaches.
LOST_CURSOR = 1_000_000

Answer = TypeVar("Answer")


class Callers:
    """One process that asks for all sessions. `busy` until everything planned was asked."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.process = Process(world.loop, "callers")
        self._desk = world.backend.store_for(self.process).desk
        self._stream = world.backend.stream_for(self.process)
        self._chance = world.fork("callers")
        self._open: set[asyncio.Task[None]] = set()
        self._calm = False
        for session in world.plan.sessions:
            self._start(self._drive(session))

    @property
    def busy(self) -> bool:
        """Whether something is still to be asked."""
        return bool(self._open)

    def calm(self) -> None:
        """Leave out what is only planned: no more long waits."""
        self._calm = True

    def _start(self, work: Awaitable[None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - told at the end
                self.world.records.wrong(f"a caller was told {error!r}")

        task = self.process.start(guarded())
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _drive(self, plan: SessionPlan) -> None:
        for n, want in enumerate(plan.clients):
            if want != "run":
                self._client(plan, n, want, None)
        info = await self._patiently(
            lambda: self._desk.create_session(
                TENANT, plan.name, ttl_s=plan.ttl_s, idempotency=_once(f"create {plan.name}")
            )
        )
        self.world.numbers[plan.name] = info.session
        for n, run in enumerate(plan.runs):
            await Nap(self.world.loop, run.after_s)
            try:
                ticket = await self._ask(plan, run, f"{plan.name} {n}")
            except (SessionBusy, SessionGone):
                continue
            if run.cancel_after_s is not None:
                self._start(self._cancel(plan, ticket, run.cancel_after_s))
            if run.answer_after_s is not None:
                for value in ("yes", "no")[: 2 if run.twice else 1]:
                    self._start(self._answer(ticket, run.answer_after_s, value))
            if n == 0:
                for i, want in enumerate(plan.clients):
                    if want == "run":
                        self._client(plan, i, want, ticket)
        if plan.erased:
            await Nap(self.world.loop, self._chance.random() * 4)
            await self._patiently(lambda: self._desk.erase(TENANT, plan.name))
            await self._hint(info.session)

    def _client(self, plan: SessionPlan, n: int, kind: str, ticket: Ticket | None) -> None:
        want, cursor = Want(), 0
        if kind == "types":
            want = Want(types=("step.*", "run.*"))
        elif kind == "lost":
            cursor = LOST_CURSOR
        elif ticket is not None:
            want, cursor = Want(run_id=ticket.run_id), ticket.after
        name = f"{plan.name}-{kind}-{n}"
        client = SimulatedClient(
            self.world, name, plan.name, want=want, cursor=cursor, forgettable=plan.erased
        )
        self.world.clients.append(client)

    async def _ask(self, plan: SessionPlan, run: RunPlan, key: str) -> Ticket:
        request = RunRequest(workflow=run.workflow, input=run.input, on_busy=run.on_busy)
        idempotency = _once(f"start {key}")
        ticket = await self._patiently(
            lambda: self._desk.start(TENANT, plan.name, request, idempotency=idempotency),
            but=SessionBusy,
        )
        self._note("start", plan, ticket, key)
        await self._hint(ticket.session)
        return ticket

    async def _cancel(self, plan: SessionPlan, ticket: Ticket, after_s: float) -> None:
        await Nap(self.world.loop, after_s)
        key = f"cancel {ticket.run_id}"
        with suppress(RunEnded):
            await self._patiently(
                lambda: self._desk.cancel(TENANT, ticket.run_id, idempotency=_once(key))
            )
            self._note("cancel", plan, ticket, key)
            await self._hint(ticket.session)

    async def _answer(self, ticket: Ticket, after_s: float, value: str) -> None:
        """Answer when it is asked; a run that nobody answers is cancelled in the end."""
        begun = self.world.loop.time()
        while True:
            await Nap(self.world.loop, 0.4 + 0.4 * self._chance.random())
            run = await self._patiently(lambda: self._desk.run(TENANT, ticket.run_id))
            if run.status.ended:
                return
            waited_s = self.world.loop.time() - begun
            if waited_s < after_s and not self._calm:
                continue
            for input_id in run.waiting:
                try:
                    await self._patiently(
                        lambda input_id=input_id: self._desk.answer(
                            TENANT,
                            ticket.run_id,
                            input_id,
                            value,
                            idempotency=_once(f"{value} {input_id}"),
                        )
                    )
                except (InputAnswered, InputUnknown, RunEnded):
                    continue
                await self._hint(ticket.session)

    def _note(self, kind: str, plan: SessionPlan, ticket: Ticket, key: str) -> None:
        # An erasure takes the events that would show what became of it.
        if not plan.erased:
            self.world.records.asks.append(
                Ask(
                    kind=kind,
                    session=plan.name,
                    run_id=ticket.run_id,
                    at=self.world.loop.time(),
                    key=key,
                )
            )

    async def _patiently(
        self, call: Callable[[], Awaitable[Answer]], *, but: type[HoldfastError] | None = None
    ) -> Answer:
        """Repeat a call until it is answered. After an attempt without an answer, `but` is not taken for one either.

        That attempt may still be carried out when what refused the later one is over: a run that waits for an input
        of which nobody knows would keep its session from all others.
        """
        unanswered = False
        while True:
            try:
                return await call()
            except StoreUnavailable:
                unanswered = True
            except HoldfastError as error:
                if not (unanswered and but and isinstance(error, but)):
                    raise
            await Nap(self.world.loop, 0.2 + 0.6 * self._chance.random())

    async def _hint(self, session: int) -> None:
        with suppress(StreamUnavailable):
            await self._stream.hint_work(session)


def _once(key: str) -> Idempotency:
    return Idempotency(key=key, request_hash=key.encode())
