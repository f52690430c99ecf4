"""A worker that dies at any event of the story: another goes on, and the story ends as if nothing had happened.

Dies: what is committed up to that event stays, nothing after it is recorded, and nobody gives anything back.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

import pytest
from langgraph.errors import NodeCancelledError

from holdfast.events.errors import StoreUnavailable
from holdfast.events.fold import fold
from holdfast.events.store import RunStatus, SessionBatch, Store, Ticket
from holdfast.orchestrator.session_log import Fenced
from tests.orchestrator.golden import story
from tests.orchestrator.golden.stages import Stage
from tests.orchestrator.harness import World, types, until

# Each death costs a lease of a second before it is noticed: so several are died at once, each in its own session. More
# would wait for the connections of the one store that they share.
AT_ONCE = 6

# From the first worker's start to the end of the second one's work: seconds, where the machine has nothing else to do.
PATIENCE_S = 60.0
LOOK_S = 0.05

_ENDED = tuple(status for status in RunStatus if status.ended)

T = TypeVar("T")

# What streams is a step in replay only.
_STREAMS = frozenset({"message", "reasoning", "llm"})


@pytest.fixture(autouse=True)
async def _dead_tasks_tell_nobody() -> AsyncIterator[None]:
    """A killed process is gone; here LangGraph still notes that its tasks were cancelled, for nobody who asks.

    Or that what they were about to save was refused, as it must be: the session has gone on without them.
    """
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def heed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), NodeCancelledError | Fenced):
            (before or asyncio.AbstractEventLoop.default_exception_handler)(loop, context)

    loop.set_exception_handler(heed)
    yield
    gc.collect()
    loop.set_exception_handler(before)


class Killer:
    """A store's writer, until its session's log has so many events, and not a commit longer."""

    def __init__(self, store: Store, at: int | None) -> None:
        self._store, self._at = store, at
        self.struck = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        # The store itself, with this in the place of its writer.
        if name == "writer":
            return self
        return getattr(self._store if hasattr(self._store, name) else self._store.writer, name)

    async def append(self, batches: Sequence[SessionBatch]) -> frozenset[int]:
        """Append like the store, up to the fatal event."""
        if self.struck.is_set():
            await asyncio.Event().wait()  # a dead process's statement never comes
        found = await self._store.writer.append(batches)
        last = max(batch.expected_head + len(batch.events) for batch in batches)
        if self._at is not None and last >= self._at:
            # Committed, and its worker never learns of it.
            self.struck.set()
            await asyncio.Event().wait()
        return found


async def _tell(stage: Stage, kill_at: int | None) -> Ticket:
    """Have the story told in a new session, by a worker that dies at an event and one that goes on."""
    killer = Killer(stage.world.store, kill_at)
    # A name of its own, so that no worker of another death takes the story over.
    own = replace(stage.workflow, name=f"{stage.workflow.name}-{kill_at}")
    doomed = World(cast("Store", killer), stage.world.stream, stage.world.lease_connection)
    here = replace(stage, world=doomed, workflow=own)
    try:
        first = await here.worker(f"first-{kill_at}", coalesce_ms=0)
        ticket = await here.ask()
        answering = asyncio.create_task(_answer(here, ticket))
        if kill_at is not None:
            await _struck(killer, stage, ticket)
            await first.crash()
            doomed.store = stage.world.store
            await here.worker(f"second-{kill_at}", coalesce_ms=0)
        await asyncio.wait_for(answering, PATIENCE_S)
        assert await _reaches(stage, ticket, *_ENDED) is RunStatus.COMPLETED
        return ticket
    finally:
        await doomed.close()


async def _struck(killer: Killer, stage: Stage, ticket: Ticket) -> None:
    """Wait for the blow, or for the end: what runs at once may be told in an event less than in the calm run."""
    ended = asyncio.create_task(_reaches(stage, ticket, *_ENDED))
    blow = asyncio.create_task(killer.struck.wait())
    await asyncio.wait([ended, blow], timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    assert ended.done() or blow.done(), "neither killed nor ended"
    ended.cancel()
    blow.cancel()


async def _answer(stage: Stage, ticket: Ticket) -> None:
    await _reaches(stage, ticket, RunStatus.WAITING)
    await _patiently(lambda: stage.world.answer(ticket, story.ANSWER))


async def _reaches(stage: Stage, ticket: Ticket, *wanted: RunStatus) -> RunStatus:
    """Wait until the run stands there. Not the world's own wait, which fails when a worker dies meanwhile."""
    found: list[RunStatus] = []

    async def there() -> bool:
        await asyncio.sleep(LOOK_S)
        found.append((await _patiently(lambda: stage.world.run(ticket))).status)
        return found[-1] in wanted

    await until(there, deadline_s=PATIENCE_S)
    return found[-1]


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again while a busy machine keeps the connections that all of these worlds share."""
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            await asyncio.sleep(LOOK_S)


def _shape(events: Any) -> dict[str, Any]:
    """What a log adds up to beyond the story: whatever was begun has ended, and nothing is there twice."""
    state = fold(events)
    told = story.story(events)
    told["steps"] = sorted(
        (s["name"], s["status"]) for s in state.steps.all.values() if s["name"] not in _STREAMS
    )
    told["llm_calls"] = sorted(call["status"] for call in state.llm_calls.all.values())
    return told


def _sample(kinds: Sequence[str], begun: int) -> list[int]:
    """Return where to die: at the first event of a type behind the run's start, at the last of the next, and so on."""
    places: dict[str, list[int]] = {}
    for at in range(begun, len(kinds)):
        places.setdefault(kinds[at - 1], []).append(at)
    return sorted({found[-(n % 2)] for n, found in enumerate(places.values())})


async def _at(stage: Stage, choose: Callable[[Sequence[str], int], Iterable[int]]) -> None:
    """Die at the chosen events of an undisturbed run; each time it has to add up to the same."""
    calm = await _tell(stage, None)
    log = await stage.world.events(calm.session)
    expected = _shape(log)
    assert {k: expected[k] for k in story.EXPECTED} == story.EXPECTED
    room = asyncio.Semaphore(AT_ONCE)
    differ: list[str] = []

    async def die(at: int) -> None:
        async with room:
            ticket = await _tell(stage, at)
            events = await _patiently(lambda: stage.world.events(ticket.session))
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        if (told := _shape(events)) != expected:
            differ.append(f"{at} {log[at - 1].type}: {_difference(expected, told)}")

    kinds = types(log)
    async with asyncio.TaskGroup() as group:
        for at in choose(kinds, kinds.index("run.started") + 1):
            group.create_task(die(at))
    assert not differ, "\n".join(["killed at event", *sorted(differ)])


def _difference(expected: dict[str, Any], told: dict[str, Any]) -> str:
    return "; ".join(
        f"{name}: {expected[name]} became {told[name]}"
        for name in expected
        if expected[name] != told[name]
    )


@pytest.mark.timeout(300)
async def test_the_story_survives_a_kill_at_events_of_every_type(stage: Stage) -> None:
    await _at(stage, _sample)


@pytest.mark.fault
@pytest.mark.long
@pytest.mark.timeout(600)
async def test_the_story_survives_a_kill_at_every_event(stage: Stage) -> None:
    await _at(stage, lambda kinds, begun: range(begun, len(kinds)))
