"""A graph whose worker died goes on from its last checkpoint: nothing that is saved is done or told twice."""

# pyright: reportPrivateUsage=false

import asyncio
from typing import Any

import psycopg
import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt
from psycopg import sql

from holdfast.events.errors import StoreUnavailable
from holdfast.events.store import RunStatus
from holdfast.orchestrator.executors.langgraph import langgraph_workflow
from holdfast.orchestrator.executors.langgraph_saver import FencedSaver, checkpoint_pool
from holdfast.orchestrator.session_log import Fenced
from tests.orchestrator.graphs import Gate, Noted, asks_model, chain, graph_worker, says
from tests.orchestrator.harness import (
    LEASE_S,
    World,
    check_log,
    data,
    of_type,
    owned_by,
    shown,
    told,
    types,
)

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


async def test_a_crashed_graph_goes_on_from_its_last_checkpoint(
    real_world: World, database_url: str
) -> None:
    calls: list[str] = []
    gate = Gate()
    flow = chain(
        "line", ("a", says("A", calls)), ("gate", gate), ("b", says("B", calls)), agents=True
    )
    async with graph_worker(real_world, database_url, flow) as first:
        ticket = await real_world.ask("line", "go")
        await real_world.until(lambda: gate.came == 1)
        await real_world.has(ticket, "step.started", 2)
        await first.crash()
    gate.open.set()
    async with graph_worker(real_world, database_url, flow, name="w2"):
        run = await real_world.reaches(ticket)
        calm = await real_world.ask("line", "go")
        await real_world.reaches(calm)
    events = await real_world.events(ticket.session)
    check_log(events)
    assert (run.status, run.attempts) == (RunStatus.COMPLETED, 2)
    assert calls == ["A", "B", "A", "B"]  # once in each run
    assert gate.came == 3
    after = [e for e in events if e.seq > of_type(events, "run.resumed")[0].seq]
    assert types(after)[:2] == ["checkpoint.restored", "step.restarted"]
    assert [data(e)["name"] for e in of_type(events, "step.completed")] == ["a", "gate", "b"]
    assert told(events) == [("A", "A"), ("Gate", "through the gate"), ("B", "B")]
    seen = _ids_removed(shown(events, ticket.run_id))
    assert seen == _ids_removed(shown(await real_world.events(calm.session), calm.run_id))


def _ids_removed(state: dict[str, Any]) -> dict[str, Any]:
    """Task ids come from the time; a graph's steps are told apart by name here."""
    for table, names in {
        "steps": ("key",),
        "agents": ("step",),
        "messages": ("step", "message_id"),
        "llm_calls": ("step", "call_id"),
    }.items():
        for entry in state[table]:
            for name in names:
                entry.pop(name)
    return state


async def test_a_node_that_was_saved_is_not_run_again_beside_one_that_was_not(
    real_world: World, database_url: str
) -> None:
    calls: list[str] = []
    opened = asyncio.Event()

    async def left(state: Noted) -> dict[str, Any]:
        calls.append("left")
        return {"notes": ["left"]}

    async def right(state: Noted) -> dict[str, Any]:
        calls.append("right")
        await opened.wait()
        return {"notes": ["right"]}

    graph = StateGraph(Noted)
    for name, node in (("left", left), ("right", right)):
        graph.add_node(name, node)
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    flow = langgraph_workflow(
        "fork",
        graph,
        to_state=lambda _: {"notes": []},
        to_result=lambda state: state["notes"],
        version="1",
    )
    async with graph_worker(real_world, database_url, flow) as first:
        ticket = await real_world.ask("fork", {})
        await real_world.has(ticket, "step.completed")
        await real_world.until(lambda: "right" in calls)
        await first.crash()
    opened.set()
    async with graph_worker(real_world, database_url, flow, name="w2"):
        await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    check_log(events)
    assert sorted(calls) == ["left", "right", "right"]
    assert data(events[-1])["result"] == ["left", "right"]
    assert [data(e)["name"] for e in of_type(events, "step.completed")] == ["left", "right"]
    assert [data(e)["name"] for e in of_type(events, "step.restarted")] == ["right"]


async def test_no_task_begins_before_its_start_is_on_disk_not_even_in_a_graph_inside_a_node(
    real_world: World, database_url: str
) -> None:
    """What it does outside is then at least known to have been begun, whoever looks."""
    world, calls = real_world, list[str]()
    inner = StateGraph(MessagesState)
    inner.add_node("speak", says("said", calls))
    inner.add_edge(START, "speak")
    inner.add_edge("speak", END)
    helper = inner.compile()

    async def outer(state: MessagesState) -> dict[str, Any]:
        return {"messages": (await helper.ainvoke({"messages": []}))["messages"][-1:]}

    append, asked, let_go = world.store.writer.append, asyncio.Event(), asyncio.Event()

    async def held(batches: Any) -> frozenset[int]:
        if any(b'"name":"speak"' in e.body for b in batches for e in b.events):
            asked.set()
            await let_go.wait()
        return await append(batches)

    world.store.writer.append = held  # pyright: ignore[reportAttributeAccessIssue]
    async with graph_worker(world, database_url, chain("nested", ("outer", outer))):
        ticket = await world.ask("nested", "go")
        await asyncio.wait_for(asked.wait(), 15)
        await asyncio.sleep(0.2)  # it would have begun long ago
        before = list(calls)
        let_go.set()
        await world.reaches(ticket)
    assert (before, calls) == ([], ["said"])


@pytest.mark.parametrize("streams", [True, False])
async def test_a_node_that_was_saved_but_not_recorded_is_recorded_first(
    real_world: World, database_url: str, streams: bool
) -> None:
    world, calls, gate = real_world, list[str](), Gate()
    node = asks_model(calls) if streams else says("said", calls)
    flow = chain("behind", ("a", node), ("gate", gate), agents=True)
    append = world.store.writer.append

    async def stuck(batches: Any) -> frozenset[int]:
        # From the end of the first node on, the first worker's commits never arrive.
        if any(e.type == "step.completed" for b in batches for e in b.events):
            await asyncio.Event().wait()
        return await append(batches)

    world.store.writer.append = stuck  # pyright: ignore[reportAttributeAccessIssue]
    async with graph_worker(world, database_url, flow) as first:
        ticket = await world.ask("behind", "go")

        async def saved() -> bool:
            # The input's checkpoint, the start's, and the one after the first node.
            return await _saved(database_url, "checkpoints") == 3

        await world.until(saved)
        # A node is begun only when its start is on disk.
        assert gate.came == 0
        await first.crash()
    world.store.writer.append = append  # pyright: ignore[reportAttributeAccessIssue]
    assert "step.completed" not in types(await world.events(ticket.session))
    gate.open.set()
    async with graph_worker(world, database_url, flow, name="w2"):
        await world.reaches(ticket)
    events = await world.events(ticket.session)
    check_log(events)
    assert len(calls) == 1
    assert [data(e)["name"] for e in of_type(events, "step.completed")] == ["a", "gate"]
    assert [data(e)["name"] for e in of_type(events, "agent.completed")] == ["A", "Gate"]
    assert [agent for agent, _ in told(events)] == ["A", "Gate"]
    assert types(events).count("message.completed") == 2
    first_done = of_type(events, "step.completed")[0]
    assert first_done.agent == "A"
    assert first_done.seq < min(e.seq for e in events if data(e).get("name") == "Gate")
    state = shown(events, ticket.run_id)
    assert {e["status"] for name in ("steps", "agents", "llm_calls") for e in state[name]} == {
        "completed"
    }


async def test_a_node_that_is_done_over_shows_its_whole_messages_again(
    real_world: World, database_url: str
) -> None:
    gate = asyncio.Event()
    came: list[str] = []

    def node(**fields: Any) -> Any:
        async def talk(state: MessagesState) -> dict[str, Any]:
            model = GenericFakeChatModel(messages=iter([AIMessage("one two three", **fields)]))
            answer = await model.ainvoke(state["messages"])
            came.append(str(answer.content))
            await gate.wait()
            return {"messages": [answer]}

        return talk

    for name, fields in (("fresh", {}), ("fixed", {"id": "always-the-same"})):
        came.clear()
        gate.clear()
        flow = chain(name, ("talk", node(**fields)), agents=True)
        async with graph_worker(real_world, database_url, flow, name=f"{name}1") as first:
            ticket = await real_world.ask(name, "go")
            await real_world.until(lambda: len(came) == 1)
            await real_world.has(ticket, "message.delta")
            await first.crash()
        gate.set()
        async with graph_worker(real_world, database_url, flow, name=f"{name}2"):
            await real_world.reaches(ticket)
        events = await real_world.events(ticket.session)
        check_log(events)
        assert len(came) == 2
        assert told(events) == [("Talk", "one two three")]


async def test_a_worker_that_lost_its_session_can_not_move_the_graph(
    real_world: World, database_url: str
) -> None:
    gate = Gate()
    flow = chain("lost", ("gate", gate), ("after", says("after")))
    async with graph_worker(real_world, database_url, flow, poll_s=30) as first:
        ticket = await real_world.ask("lost", "go")
        await real_world.until(lambda: gate.came == 1)
        await real_world.has(ticket, "step.started")
        owner = first.orchestrator.worker._owners[ticket.session]
        first.orchestrator._leases.drop(ticket.session, owner.claim.epoch)

        async def taken() -> bool:
            return bool(
                await real_world.claims.claim("w2", workflows=["lost"], lease_s=LEASE_S, limit=1)
            )

        await real_world.until(taken)
        before = await _saved(database_url), len(await real_world.events(ticket.session))
        gate.open.set()
        await real_world.until(lambda: not owned_by(first))
        after = await _saved(database_url), len(await real_world.events(ticket.session))
    assert after == before
    assert (await real_world.run(ticket)).status is RunStatus.RUNNING


async def test_a_write_behind_the_fence_raises_fenced_and_is_not_stored(
    real_world: World, database_url: str
) -> None:
    told_of: list[str] = []

    async def note(*what: str) -> None:
        told_of.append(what[0])

    made = await real_world.store.desk.create_session("acme", "s")
    [claim] = await real_world.claims.claim("w1", workflows=[], lease_s=30, limit=1)
    config: Any = {"configurable": {"thread_id": f"{made.session}/x", "checkpoint_ns": ""}}
    async with checkpoint_pool(database_url) as pool:

        def saver(epoch: int, *, over: bool = False) -> FencedSaver:
            return FencedSaver(
                pool,
                session=claim.session,
                epoch=epoch,
                over=lambda: over,
                on_writes=note,
                on_checkpoint=note,
            )

        owner, zombie = saver(claim.epoch), saver(claim.epoch - 1)
        abandoned = saver(claim.epoch, over=True)
        where = await owner.aput(config, empty_checkpoint(), {}, {})
        await owner.aput_writes(where, [("a", 1)], "task-1")
        kept, heard = await _saved(database_url), list(told_of)
        assert (kept, heard[1:]) == (2, ["task-1"])
        for late in (zombie, abandoned):
            with pytest.raises(Fenced):
                await late.aput(config, empty_checkpoint(), {}, {})
            with pytest.raises(Fenced):
                await late.aput_writes(where, [("a", 1)], "task-2")
            with pytest.raises(Fenced):
                await late.adelete_thread(f"{made.session}/x")
        assert (await _saved(database_url), told_of) == (kept, heard)


@pytest.mark.parametrize("fails", [False, True])
async def test_no_checkpoint_is_saved_before_what_the_tasks_wrote_to_reach_it(
    real_world: World, database_url: str, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """LangGraph saves writes in the background: behind the next checkpoint nobody would find what was to be told."""
    made = await real_world.store.desk.create_session("acme", "s")
    [claim] = await real_world.claims.claim("w1", workflows=[], lease_s=30, limit=1)
    config: Any = {"configurable": {"thread_id": f"{made.session}/x", "checkpoint_ns": ""}}
    asked, let_go = asyncio.Event(), asyncio.Event()
    put_writes = AsyncPostgresSaver.aput_writes

    async def held_up(self: AsyncPostgresSaver, *given: Any) -> None:
        asked.set()
        await let_go.wait()
        if fails:
            raise StoreUnavailable("away")
        await put_writes(self, *given)

    async def ignore(*_: str) -> None:
        pass

    monkeypatch.setattr(AsyncPostgresSaver, "aput_writes", held_up)
    async with checkpoint_pool(database_url) as pool:
        saver = FencedSaver(
            pool,
            session=claim.session,
            epoch=claim.epoch,
            over=lambda: False,
            on_writes=ignore,
            on_checkpoint=ignore,
        )
        where = await saver.aput(config, empty_checkpoint(), {}, {})
        writes = asyncio.create_task(saver.aput_writes(where, [("a", 1)], "task-1"))
        await asked.wait()
        checkpoint = asyncio.create_task(saver.aput(where, empty_checkpoint(), {}, {}))
        await asyncio.wait([checkpoint], timeout=0.2)
        assert await _saved(database_url) == 1
        let_go.set()
        await asyncio.wait([writes, checkpoint])

        if fails:
            with pytest.raises(StoreUnavailable):
                checkpoint.result()
            assert isinstance(writes.exception(), StoreUnavailable)
        assert await _saved(database_url) == (1 if fails else 3)


async def _saved(database_url: str, *tables: str) -> int:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        count = 0
        for table in tables or ("checkpoints", "checkpoint_writes"):
            statement = sql.SQL("select count(*) from langgraph.{}").format(sql.Identifier(table))
            found = await connection.execute(statement)
            row = await found.fetchone()
            count += row[0] if row else 0
        return count


async def test_a_postgres_that_is_away_for_a_checkpoint_does_not_fail_the_run(
    real_world: World, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    aput, failures = FencedSaver.aput, [StoreUnavailable("away"), StoreUnavailable("away")]

    async def shaky(self: FencedSaver, *args: Any) -> Any:
        if calls and failures:
            raise failures.pop()
        return await aput(self, *args)

    monkeypatch.setattr(FencedSaver, "aput", shaky)
    flow = chain("shaky", ("a", says("A", calls)), ("b", says("B", calls)))
    async with graph_worker(real_world, database_url, flow):
        ticket = await real_world.ask("shaky", "go")
        run = await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    check_log(events)
    assert not failures
    assert (run.status, run.strikes) == (RunStatus.COMPLETED, 0)
    assert calls == ["A", "B"]
    assert told(events) == [("a", "A"), ("b", "B")]


async def test_a_waiting_graph_is_answered_on_another_worker(
    real_world: World, database_url: str
) -> None:
    calls: list[str] = []

    async def approve(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"answer: {interrupt('ok?')}")]}

    flow = chain("ship", ("draft", says("draft", calls)), ("approve", approve))
    async with graph_worker(real_world, database_url, flow) as first:
        ticket = await real_world.ask("ship", "go")
        await real_world.reaches(ticket, RunStatus.WAITING)
        await real_world.released(ticket)
        await first.crash()
    async with graph_worker(real_world, database_url, flow, name="w2"):
        await real_world.answer(ticket, "yes")
        await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    assert calls == ["draft"]
    assert data(events[-1])["result"] == "answer: yes"


async def test_a_graph_of_agents_that_kills_its_workers_is_given_up(
    real_world: World, database_url: str
) -> None:
    """Each attempt announces the agent anew; that is no progress."""
    ticket = await real_world.ask("line", "go")

    async def ended() -> bool:
        return (await real_world.run(ticket)).status.ended

    for n in range(4):
        gate = Gate()
        flow = chain("line", ("a", says("A")), ("gate", gate), agents=True)
        async with graph_worker(
            real_world, database_url, flow, name=f"w{n}", attempts_max=2
        ) as rig:

            async def came_to_something(gate: Gate = gate, n: int = n) -> bool:
                restarts = types(await real_world.events(ticket.session)).count("step.restarted")
                return (gate.came > 0 and restarts == n) or await ended()

            await real_world.until(came_to_something)
            await rig.crash()
        if await ended():
            break
    last = (await real_world.events(ticket.session))[-1]
    assert (last.type, data(last)["error"]["code"]) == ("run.failed", "poison")


async def test_an_erasure_takes_the_checkpoints_of_every_graph(
    real_world: World, database_url: str
) -> None:
    """Also of one that this worker has not loaded, and of no session whose number begins alike."""
    one, two = chain("one", ("a", says("A"))), chain("two", ("a", says("A")))
    async with graph_worker(real_world, database_url, one, two):
        ticket = await real_world.ask("one", "go")
        await real_world.reaches(ticket)
        await real_world.reaches(await real_world.ask("two", "go", ticket.session_id))
        await real_world.released(ticket)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(
            "insert into langgraph.checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint)"
            " values (%s, '', 'x', '{}')",
            (f"{ticket.session}0/one",),
        )
        async with graph_worker(real_world, database_url, two, name="w2"):
            await real_world.erase(ticket)
            await real_world.has(ticket, "session.erased")
        found = await connection.execute("select distinct thread_id from langgraph.checkpoints")
        assert await found.fetchall() == [(f"{ticket.session}0/one",)]
