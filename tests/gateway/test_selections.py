"""Filtered streams and run streams: what is left out is accounted for, and a run's stream has its end."""

import pytest

from holdfast.events.kinds import FILTER_TYPES_MAX, TypeFilter
from holdfast.events.store import SessionStatus
from holdfast.gateway import catchup
from holdfast.gateway.ending import Ending
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.ring import Entry
from holdfast.gateway.selection import Selection
from tests.gateway.clients import Client
from tests.gateway.fakes import SESSION, recorded
from tests.gateway.worlds import World, make_world

DELTA = "message.delta"


def ids(client: Client) -> list[int | None]:
    return [frame.id for frame in client.frames if frame.name is None]


# protocol P15
async def test_a_filtered_stream_accounts_for_what_it_leaves_out():
    world = make_world()
    world.tell("tool.started", DELTA, DELTA, "tool.completed", DELTA)
    async with world.hub:
        client = await world.client(types=TypeFilter.parse("tool.*"))
        await world.settle()

        assert client.seqs == [1, 4]
        assert ids(client) == [1, 3, 4, 5]
        assert client.frames[-1].name == "caught-up"
        world.tell(DELTA, "tool.started")
        await world.settle()

        assert ids(client)[4:] == [6, 7]
        await client.leave()


# protocol P15
async def test_an_idle_filtered_stream_moves_its_client_s_cursor_once_a_second():
    world = make_world()
    async with world.hub:
        client = await world.client(types=TypeFilter.parse("tool.*"))
        await world.settle(5)
        for _ in range(40):
            world.tell(DELTA)
            await world.settle(0.1)
        await world.settle(2)

        assert client.cursor == 40
        assert 4 <= len(ids(client)) <= 7
        assert client.seqs == []
        await client.leave()


async def test_an_agent_s_stream_has_that_agent_s_events_only():
    world = make_world()
    world.tell(DELTA, agent="a")
    world.tell(DELTA, agent="b")
    async with world.hub:
        client = await world.client(agent="a")
        await world.settle()
        world.tell(DELTA, agent="b")
        world.tell(DELTA, agent="a")
        world.tell(DELTA)
        await world.settle()

        assert client.seqs == [1, 4]
        await client.leave()


async def test_a_filter_with_no_room_for_the_endings_still_ends():
    """64 names are allowed; the terminal types would be too many for the store's filter."""
    types = TypeFilter([f"custom.t{number}" for number in range(FILTER_TYPES_MAX)])
    assert Selection(types, run_id="r").stored_types() is None
    world = make_world()
    world.tell("run.started", "custom.t1", DELTA, "run.completed", run_id="r")
    async with world.hub:
        client = await world.client(types=types, run_id="r")
        await world.settle()

        assert client.seqs == [2, 4]
        assert client.subscription.ending is Ending.COMPLETE


def _two_runs(world: World) -> None:
    world.tell("session.created")
    world.tell("run.started", DELTA, run_id="r1")  # 2, 3
    world.tell("command.accepted", run_id="r2")  # 4: another run of the session, waiting
    world.tell(DELTA, "run.completed", run_id="r1")  # 5, 6
    world.tell("run.started", DELTA, run_id="r2")  # 7, 8


async def test_a_run_s_stream_has_the_run_s_events_and_ends_with_it():
    world = make_world()
    _two_runs(world)
    async with world.hub:
        client = await world.client(1, run_id="r1")
        await world.settle()

        assert client.seqs == [2, 3, 5, 6]
        assert client.subscription.ending is Ending.COMPLETE
        assert client.ended
        assert client.controls == []


# protocol P14
async def test_a_run_s_stream_has_its_terminal_event_whatever_its_filter():
    world = make_world()
    _two_runs(world)
    async with world.hub:
        client = await world.client(run_id="r1", types=TypeFilter.parse("tool.*"))
        live = await world.client(run_id="r2", types=TypeFilter.parse("tool.*"))
        await world.settle()
        world.tell("run.failed", run_id="r2")
        await world.settle()

        assert client.seqs == [6]
        assert live.seqs == [9]
        assert live.subscription.ending is Ending.COMPLETE


async def test_a_run_s_far_end_is_looked_for_in_bounded_steps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catchup, "SCAN_SEQS_MAX", 3)
    world = make_world()
    world.tell("run.started", run_id="r1")
    world.tell(*[DELTA] * 8)
    world.tell("run.completed", run_id="r1")
    async with world.hub:
        await world.client(10)  # so that the ring is empty and the store is read
        await world.settle()
        before = len(world.log.reads)
        client = await world.client(0, run_id="r1", run_ended=True)
        looked = [after for _, after in world.log.reads[before:]]
        await world.settle()

        assert {0, 3, 6, 9} <= set(looked)
        assert client.seqs == [1, 10]
        assert client.ended


async def test_an_ended_run_has_nothing_for_a_cursor_at_its_end():
    world = make_world()
    _two_runs(world)
    async with world.hub:

        async def ended(cursor: int, run_id: str) -> bool:
            request = SubscriptionRequest(
                session=SESSION, cursor=cursor, run_id=run_id, run_ended=run_id == "r1"
            )
            subscription = await world.hub.subscribe(request)
            subscription.close()
            return subscription.already_ended

        assert [await ended(cursor, "r1") for cursor in (0, 5, 6, 8)] == [False, False, True, True]
        assert not await ended(8, "r2")


async def test_a_run_whose_end_was_lost_or_removed_does_not_keep_its_readers():
    """Reset first, so that the answer says why, and then the end: no terminal event will come."""
    world = make_world()
    _two_runs(world)
    async with world.hub:
        ahead = await world.client(99, run_id="r1", run_ended=True)
        await world.settle()
        world.log.sessions[SESSION].min_seq = 7
        below = await world.client(2, run_id="r1", run_ended=True)
        await world.settle()

        for client, reason in ((ahead, "ahead"), (below, "retention")):
            assert client.ended
            assert not client.subscription.already_ended
            assert client.subscription.ending is Ending.COMPLETE
            assert client.controls[0][1]["reason"] == reason
            assert client.cursor == 8


# protocol P14
async def test_a_run_s_stream_has_its_children_s_events_also_of_those_that_start_later():
    world = make_world()
    world.tell("run.started", run_id="r")
    world.tell("run.started", run_id="c1", parent_run_id="r")
    async with world.hub:
        client = await world.client(run_id="r")
        await world.settle()
        world.tell("run.started", DELTA, run_id="c2", parent_run_id="c1")  # 3, 4
        world.tell(DELTA, run_id="stranger")  # 5
        world.tell("run.completed", run_id="c2")  # 6: a child's end is not the run's
        world.tell("run.completed", run_id="r")  # 7
        await world.settle()

        assert client.seqs == [1, 2, 3, 4, 6, 7]
        assert client.subscription.ending is Ending.COMPLETE


async def test_a_child_that_started_while_its_reader_was_behind_is_not_missed():
    """The reader fell out of the ring before the child began: the page must know of the child."""
    world = make_world(ring_events=2)
    world.tell("run.started", run_id="r")
    async with world.hub:
        client = await world.client(run_id="r")
        await world.settle()
        events = [
            *world.log.append("run.started", DELTA, run_id="c", parent_run_id="r"),
            *world.log.append(*[DELTA] * 5, run_id="r"),
        ]
        world.stream.publish(events)
        await world.settle()

        assert client.seqs == list(range(1, 9))
        await client.leave()


async def test_a_child_that_starts_between_two_looks_at_the_store_is_not_missed():
    """The family was read without it, the page after it would be read with it: so the page must end before it."""
    world = make_world()
    look = world.log.run_family

    async def look_too_early(run_id: str) -> frozenset[str]:
        family = await look(run_id)
        if world.log.sessions[SESSION].head == 2:
            world.tell("run.started", DELTA, run_id="c", parent_run_id="r")
        return family

    world.log.run_family = look_too_early  # type: ignore[method-assign]
    world.tell("run.started", DELTA, run_id="r")
    async with world.hub:
        client = await world.client(run_id="r")
        await world.settle()

        assert client.seqs == [1, 2, 3, 4]
        await client.leave()


async def test_a_run_s_stream_ends_when_its_session_is_erased():
    world = make_world()
    world.tell("run.started", run_id="r")
    async with world.hub:
        client = await world.client(run_id="r")
        await world.settle()
        world.tell("session.erased")
        world.log.sessions[SESSION].status = SessionStatus.ERASED
        await world.settle()

        assert client.seqs == [1]
        assert client.cursor == 2
        assert client.subscription.ending is Ending.GONE


def test_what_filters_ask_for_is_read_from_the_frame():
    entry = Entry(recorded(1, "run.started", "c", parent_run_id="r", agent="planner"))

    assert (entry.agent, entry.parent_run_id) == ("planner", "r")
    assert Selection(run_id="r", family=frozenset({"r"})).adopting(entry).family == {"r", "c"}
    assert Selection(run_id="x", family=frozenset({"x"})).adopting(entry).family == {"x"}
