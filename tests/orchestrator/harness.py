"""Whole workers over any store and stream: start them, crash them, and look at what they recorded.

A `World` is one log and its stream, with callers' calls in one line each. A `Rig` is one worker in it. Leases are a
second, so that a crash is noticed within a second of a test's time.
"""

# pyright: reportPrivateUsage=false

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from pydantic import SecretStr

from holdfast.events.clock import Clock
from holdfast.events.fold import fold, messages, without_attempts
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import Claims, Run, RunRequest, RunStatus, Store, Ticket
from holdfast.events.stream import Publisher, Window
from holdfast.orchestrator.lease import ClaimsConnection
from holdfast.orchestrator.lookout import WorkHints
from holdfast.orchestrator.orchestrator import Orchestrator
from holdfast.orchestrator.settings import OrchestratorSettings
from holdfast.orchestrator.workflow import Workflow, Workflows
from tests.factories import TENANT

LEASE_S = 1.0

# How long a condition may take to come true: many leases, and far below pytest's own limit.
DEADLINE_S = 15.0

# What streams is a step in replay only.
_STREAMS = frozenset({"message", "reasoning", "llm"})

# How often a condition is looked at.
_LOOK_S = 0.005


class Stream(Publisher, Window, Protocol):
    """A stream that also lets workers listen."""

    def hints(self) -> WorkHints:
        """Return an ear for hints."""
        ...


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]], *, deadline_s: float = DEADLINE_S
) -> None:
    """Wait until `condition` holds; fail when it doesn't in time."""
    begun = time.monotonic()
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return
        assert time.monotonic() - begun < deadline_s, f"not within {deadline_s:g} s: {condition}"
        await asyncio.sleep(_LOOK_S)


class Rig:
    """One worker. After `crash` or `drain` it is gone; make another one."""

    def __init__(
        self,
        world: "World",
        name: str,
        workflows: Iterable[Workflow] | Workflows,
        *,
        clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        self.world, self.name = world, name
        if isinstance(workflows, Workflows):
            loaded = workflows
        else:
            loaded = Workflows()
            for workflow in workflows:
                loaded.add(workflow)
        knobs: dict[str, Any] = {
            "lease_s": LEASE_S,
            "poll_s": 0.1,
            "retry_backoff_s": 0.01,
            "drain_s": 5,
            "coalesce_ms": 5,
        }
        self.orchestrator = Orchestrator(
            OrchestratorSettings(
                database_url=SecretStr("postgresql://unused"),
                redis_url=SecretStr("redis://unused"),
                worker_name=name,
                **(knobs | settings),
            ),
            store=world.store,
            publisher=world.stream,
            hints=world.stream.hints(),
            lease_connection=world.lease_connection(name),
            workflows=loaded,
            clock=clock,
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> "Rig":
        """Start the worker; returns when it looks for work."""
        self._task = asyncio.create_task(self._run(), name=f"rig:{self.name}")
        await self.until(lambda: self.orchestrator.ready)
        return self

    async def until(
        self,
        condition: Callable[[], bool] | Callable[[], Awaitable[bool]],
        *,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Wait until `condition` holds; fails at once, with its error, when the worker breaks meanwhile."""
        assert self._task is not None, "started first"
        waiting = asyncio.ensure_future(until(condition, deadline_s=deadline_s))
        await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        if self._task.done() and not self._task.cancelled() and (broke := self._task.exception()):
            waiting.cancel()
            raise broke
        await waiting

    async def crash(self) -> None:
        """Die as a killed process does: nothing is released, nothing more is recorded."""
        await self._stop(lambda task: task.cancel())

    async def drain(self) -> None:
        """Give everything back and end."""
        await self._stop(lambda _: self.orchestrator.drain())

    async def events(self, session: int) -> list[RecordedEvent]:
        """Return the session's log."""
        return await self.world.events(session)

    async def _run(self) -> None:
        await self.orchestrator.run()

    async def _stop(self, how: Callable[[asyncio.Task[None]], object]) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        how(task)
        await asyncio.wait([task])
        if not task.cancelled() and (broke := task.exception()):
            raise broke


class World:
    """One log, its stream and everybody who works on it."""

    def __init__(
        self, store: Store, stream: Stream, lease_connection: Callable[[str], ClaimsConnection]
    ) -> None:
        self.store, self.stream, self.lease_connection = store, stream, lease_connection
        self.rigs: list[Rig] = []

    @property
    def claims(self) -> Claims:
        """The store's claims."""
        return self.store.claims

    async def worker(
        self, *workflows: Workflow, name: str = "w1", loaded: Workflows | None = None, **knobs: Any
    ) -> Rig:
        """Start a worker; the world stops it in the end."""
        rig = Rig(self, name, workflows if loaded is None else loaded, **knobs)
        self.rigs.append(rig)
        return await rig.start()

    async def close(self) -> None:
        """Stop every worker that is still there."""
        broken: list[BaseException] = []
        for rig in self.rigs:
            try:
                await rig.crash()
            except BaseException as error:  # noqa: BLE001 - the others have to be stopped too
                broken.append(error)
        if broken:
            raise broken[0]

    # --- what callers ask ---------------------------------------------------------------------------

    async def ask(
        self, workflow: str, input: Any = None, session_id: str | None = None, **request: Any
    ) -> Ticket:
        """Ask for a run, as a gateway does, and hint at it."""
        wanted = RunRequest(workflow=workflow, input=input, **request)
        ticket = await self.store.desk.start(TENANT, session_id, wanted)
        await self.stream.hint_work(ticket.session)
        return ticket

    async def cancel(self, ticket: Ticket, reason: str | None = None) -> None:
        """Ask for the end of a run."""
        await self.store.desk.cancel(TENANT, ticket.run_id, reason=reason)
        await self.stream.hint_work(ticket.session)

    async def answer(self, ticket: Ticket, value: Any, input_id: str | None = None) -> str:
        """Answer an input, by default the only one that the run waits for; return its id."""
        if input_id is None:
            [input_id] = (await self.run(ticket)).waiting
        await self.store.desk.answer(TENANT, ticket.run_id, input_id, value)
        await self.stream.hint_work(ticket.session)
        return input_id

    async def erase(self, ticket: Ticket) -> None:
        """Ask for the session's erasure."""
        await self.store.desk.erase(TENANT, ticket.session_id)
        await self.stream.hint_work(ticket.session)

    # --- what there is ------------------------------------------------------------------------------

    async def run(self, ticket: Ticket) -> Run:
        """Return the run's row."""
        return await self.store.desk.run(TENANT, ticket.run_id)

    async def reaches(self, ticket: Ticket, *statuses: RunStatus) -> Run:
        """Wait until the run stands there; by default until it has ended. Return its row."""

        async def there() -> bool:
            status = (await self.run(ticket)).status
            return status in statuses if statuses else status.ended

        await self.until(there)
        return await self.run(ticket)

    async def until(self, condition: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
        """Wait until `condition` holds; fails at once when a worker breaks."""
        running = [rig for rig in self.rigs if rig._task is not None]
        if running:
            await running[-1].until(condition)
        else:
            await until(condition)

    async def released(self, ticket: Ticket) -> None:
        """Wait until nobody owns the session."""

        async def free() -> bool:
            return all(ticket.session not in owned_by(rig) for rig in self.rigs)

        await self.until(free)

    async def events(self, session: int) -> list[RecordedEvent]:
        """Return the session's whole log."""
        found: list[RecordedEvent] = []
        through = 0
        while True:
            page = await self.store.reader.read(session, after=through)
            found.extend(page.items)
            through = page.through
            if through >= page.head:
                return found

    async def has(self, ticket: Ticket, type_: str, count: int = 1) -> None:
        """Wait until the session's log has so many events of this type."""

        async def there() -> bool:
            return types(await self.events(ticket.session)).count(type_) >= count

        await self.until(there)


def owned_by(rig: Rig) -> set[int]:
    """Return the sessions that a worker believes to own."""
    return set(rig.orchestrator.worker._owners)


def types(events: Iterable[RecordedEvent]) -> list[str]:
    """Return the events' types, in order."""
    return [event.type for event in events]


def of_type(events: Iterable[RecordedEvent], *wanted: str) -> list[RecordedEvent]:
    """Return the events of these types."""
    return [event for event in events if event.type in wanted]


def data(event: RecordedEvent) -> dict[str, Any]:
    """Return what the event says."""
    return event.envelope["data"]


def check_log(events: Sequence[RecordedEvent]) -> None:
    """Check what holds for every log: dense seqs, times that never go back, one terminal event per run, the last."""
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert [e.envelope["seq"] for e in events] == [e.seq for e in events]
    stamps = [e.ts for e in events]
    assert stamps == sorted(stamps)
    ended: set[str | None] = set()
    for event in events:
        if event.run_id is not None:
            # A command that came too late is told to its caller after the end.
            assert event.run_id not in ended or event.type.startswith("command.")
        if event.is_terminal:
            ended.add(event.run_id)


def shown(events: Iterable[RecordedEvent], run_id: str) -> dict[str, Any]:
    """Return what the events add up to, with the run's id as `RUN` and without what an interruption may change."""
    state = without_attempts(fold(events))
    state["session"] = None
    # The restart of a message, a call or a tool is told as a step's, and the fold keeps that as a step.
    state["steps"] = [s for s in state["steps"] if s["name"] not in _STREAMS]
    return _renamed(state, run_id)


def told(events: Iterable[RecordedEvent]) -> list[tuple[str | None, str]]:
    """Return (agent, content) of every whole message, in the fold's order."""
    return [(m["agent"], m["content"]) for m in messages(fold(events))]


def _renamed(value: Any, run_id: str) -> Any:
    if isinstance(value, str):
        return value.replace(run_id, "RUN")
    if isinstance(value, dict):
        return {_renamed(k, run_id): _renamed(v, run_id) for k, v in value.items()}
    if isinstance(value, list):
        return [_renamed(item, run_id) for item in value]
    return value
