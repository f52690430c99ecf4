"""A worker that dies at any event of the story: another goes on, and the story ends as if nothing had happened.

Dies: what is committed up to that event stays, nothing after it is recorded, and nobody gives anything back.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from holdfast.events.fold import fold
from holdfast.events.store import RunStatus, SessionBatch, Store, Ticket
from tests.orchestrator.golden import story
from tests.orchestrator.golden.graph_tellers import graph_workflow
from tests.orchestrator.golden.stages import Stage
from tests.orchestrator.harness import World, types, until

# Each death costs a lease of a second before it is noticed: so several are died at once, each in its own session.
AT_ONCE = 8

# What streams is a step in replay only.
_STREAMS = frozenset({"message", "reasoning", "llm"})


class Killer:
    """A store's writer, until its session's log has so many events, and not a commit longer."""

    def __init__(self, store: Store, at: int | None) -> None:
        self._store, self._at = store, at
        self.struck = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        # The store itself, with this in the place of its writer.
        return self if name == "writer" else getattr(self._store, name)

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
            await until(killer.struck.is_set, deadline_s=60)
            await first.crash()
            doomed.store = stage.world.store
            await here.worker(f"second-{kill_at}", coalesce_ms=0)
        await asyncio.wait_for(answering, 60)
        run = await doomed.reaches(ticket)
        assert run.status is RunStatus.COMPLETED
        return ticket
    finally:
        await doomed.close()


async def _answer(stage: Stage, ticket: Ticket) -> None:
    async def waits() -> bool:
        return (await stage.world.run(ticket)).status is RunStatus.WAITING

    # Not the world's own wait, which fails when a worker dies meanwhile.
    await until(waits, deadline_s=60)
    await stage.world.answer(ticket, story.ANSWER)


def _shape(events: Any) -> dict[str, Any]:
    """What a log adds up to beyond the story: whatever was begun has ended, and nothing is there twice."""
    state = fold(events)
    told = story.story(events)
    told["steps"] = sorted(
        (s["name"], s["status"]) for s in state.steps.all.values() if s["name"] not in _STREAMS
    )
    told["llm_calls"] = sorted(call["status"] for call in state.llm_calls.all.values())
    return told


def _goes_on(stage: Stage) -> bool:
    # LangGraph's adapter keeps a thread of its own: a turn that is asked for again finds there what the dead one did,
    # and may tell it once more. Who needs more than that runs the graph itself.
    return stage.workflow.name != "langgraph_agui"


@pytest.mark.timeout(300)
async def test_the_story_survives_a_kill_at_every_event(stage: Stage) -> None:
    lanes = story.EXPECTED["lanes"]
    if stage.workflow.name == "langgraph":
        # Without graphs inside: LangGraph runs ahead of its stream, and what a subgraph did for a node that is saved
        # already is then told with the node.
        stage, lanes = replace(stage, workflow=graph_workflow(flat=True)), 0
    calm = await _tell(stage, None)
    log = await stage.world.events(calm.session)
    expected = _shape(log)
    assert {k: expected[k] for k in story.EXPECTED} == {**story.EXPECTED, "lanes": lanes}
    room = asyncio.Semaphore(AT_ONCE)

    async def die(at: int) -> None:
        async with room:
            ticket = await _tell(stage, at)
            events = await stage.world.events(ticket.session)
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        assert _shape(events) == expected, f"killed at event {at}, {log[at - 1].type}"

    begun = types(log).index("run.started") + 1
    if not _goes_on(stage):
        ticket = await _tell(stage, begun + 1)
        told = story.story(await stage.world.events(ticket.session))
        assert (told["status"], told["result"]) == ("completed", story.SHIPPED)
        return
    async with asyncio.TaskGroup() as group:
        for at in range(begun, len(log)):
            group.create_task(die(at))
