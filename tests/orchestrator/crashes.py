"""Crashes at every event: a run is stopped dead after each of its events in turn, and taken over."""

# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import RunStatus, Ticket
from holdfast.events.store_memory import MemoryStore
from holdfast.events.stream_memory import MemoryStream
from holdfast.orchestrator.lease import SharedClaims
from holdfast.orchestrator.workflow import Workflow
from tests.orchestrator.harness import Rig, World, check_log, shown, until

Driver = Callable[[World, Ticket], Awaitable[None]]


async def nobody(world: World, ticket: Ticket) -> None:
    """Ask nothing of the run while it goes on."""


def new_world() -> World:
    """A world in memory that nobody has touched."""
    store, stream = MemoryStore(), MemoryStream()
    store._state.started_at = store._state.started_at.replace(year=2000)
    return World(store, stream, lambda _: SharedClaims(store.claims))


class Cut:
    """Lets the store take a given number of events of a log, and nothing behind them: what a killed process leaves."""

    def __init__(self, world: World, through: int | None) -> None:
        self.reached = asyncio.Event()
        self._world, self._through = world, through
        self._append = world.store.writer.append
        if through is not None:
            world.store.writer.append = self._held  # pyright: ignore[reportAttributeAccessIssue]

    def mend(self) -> None:
        """Take everything from now on."""
        self._world.store.writer.append = self._append  # pyright: ignore[reportAttributeAccessIssue]

    async def _held(self, batches: Any) -> frozenset[int]:
        assert self._through is not None
        for batch in batches:
            if batch.expected_head >= self._through:
                self.reached.set()
                await asyncio.Event().wait()
        return await self._append(batches)


async def once(
    workflows: list[Workflow],
    input: Any,
    through: int | None,
    drive: Driver = nobody,
) -> tuple[World, Ticket]:
    """Run the first workflow, crash after event `through`, and let another worker end it."""
    world = new_world()
    cut = Cut(world, through)
    first = await world.worker(*workflows, poll_s=0.05)
    ticket = await world.ask(workflows[0].name, input)
    driving = asyncio.ensure_future(drive(world, ticket))
    ending = asyncio.ensure_future(_ended(world, ticket))
    reached = asyncio.ensure_future(cut.reached.wait())
    try:
        await asyncio.wait([ending, reached], return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            await first.crash()
            cut.mend()
            await Rig.start(_joined(world, workflows))
        await ending
        run = await world.run(ticket)
        assert run.status is RunStatus.COMPLETED, run
    finally:
        for task in (driving, ending, reached):
            task.cancel()
    return world, ticket


def _named(events: list[RecordedEvent], ticket: Ticket) -> Any:
    """Return what is shown, with every run by the order of its beginning instead of its id."""
    text = orjson.dumps(shown(events, ticket.run_id)).decode()
    kids = dict.fromkeys(e.run_id for e in events if e.run_id not in (None, ticket.run_id))
    for n, run_id in enumerate(kids):
        text = text.replace(str(run_id), f"KID{n}")
    return orjson.loads(text)


async def _ended(world: World, ticket: Ticket) -> None:
    async def there() -> bool:
        return (await world.run(ticket)).status.ended

    await until(there, deadline_s=30)


def _joined(world: World, workflows: list[Workflow]) -> Rig:
    rig = Rig(world, "w2", workflows, poll_s=0.05)
    world.rigs.append(rig)
    return rig


async def at_every_event(
    workflows: list[Workflow], input: Any = None, drive: Driver = nobody
) -> list[Any]:
    """Crash the run after each of its events; each time it has to end as if nothing had happened.

    Returns the uninterrupted log.
    """
    world, ticket = await once(workflows, input, None, drive)
    calm = await world.events(ticket.session)
    await world.close()
    expected = _named(calm, ticket)

    async def crashed(seq: int) -> None:
        world, ticket = await once(workflows, input, seq, drive)
        events = await world.events(ticket.session)
        await world.close()
        check_log(events)
        assert _named(events, ticket) == expected, f"crashed after event {seq}"

    # Each takes a lease's time: they wait together.
    await asyncio.gather(*(crashed(seq) for seq in range(2, len(calm))))
    return calm
