"""A Redis that neither answers nor refuses: what it costs, and what it must not cost."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import Wake
from holdfast.gateway import hub, tail
from holdfast.gateway.request import SubscriptionRequest
from tests.gateway.clients import Client
from tests.gateway.fakes import SESSION, FakeSession
from tests.gateway.worlds import World, make_world

DELTA = "message.delta"

NEVER = {"check_s": 1e6, "check_away_s": 1e6}


class Hanging:
    """Reads of the window that answer nothing, counted."""

    def __init__(self) -> None:
        self.reads = 0

    async def __call__(
        self, cursors: Mapping[int, int], *, limit: int
    ) -> Mapping[int, Sequence[RecordedEvent]]:
        self.reads += 1
        await asyncio.get_running_loop().create_future()
        raise AssertionError


async def eventually(world: World, condition: Any, within_s: float = 5.0) -> None:
    # The deadlines of Redis are real ones: it is waited for in real time.
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
            await world.settle()


async def test_one_window_that_hangs_is_waited_for_once_a_round(monkeypatch: pytest.MonkeyPatch):
    """Each batch has a deadline of seconds: a round of ten would keep the last clients waiting for all of them."""
    monkeypatch.setattr(tail, "WINDOW_SESSIONS_MAX", 1)
    world = make_world(**NEVER)
    sessions = [SESSION + number for number in range(5)]
    for session in sessions:
        world.log.sessions[session] = FakeSession()
    async with world.hub:
        clients = [
            await Client.connect(world.hub, SubscriptionRequest(session=session))
            for session in sessions
        ]
        await world.settle()
        hanging = Hanging()
        monkeypatch.setattr(world.stream, "read", hanging)
        monkeypatch.setattr(tail, "WINDOW_DEADLINE_S", 0.05)
        for session in sessions:
            world.log.append(DELTA, session=session)
            world.stream.wakes.append(Wake(session, 1))
        world.stream.send(Wake(sessions[0], 1))

        await eventually(world, lambda: all(client.seqs == [1] for client in clients))

        # One for the round of each burst that was heard; the probe of a check is another.
        assert hanging.reads <= 3
        for client in clients:
            await client.leave()


async def test_a_check_compares_before_it_tries_redis_again(monkeypatch: pytest.MonkeyPatch):
    world = make_world(check_s=1e6, check_away_s=1.0)
    async with world.hub:
        client = await world.client()
        await world.settle()
        hanging = Hanging()
        monkeypatch.setattr(world.stream, "read", hanging)
        monkeypatch.setattr(tail, "WINDOW_DEADLINE_S", 0.05)
        world.stream.send(Wake(SESSION))
        await eventually(world, lambda: world.hub.stats().stream_away)
        monkeypatch.setattr(tail, "WINDOW_DEADLINE_S", 1e6)  # from here on a probe never ends
        world.log.append(DELTA)
        await world.settle(2.0)

        assert client.seqs == [1]
        await client.leave()


async def test_a_subscribe_that_hangs_does_not_keep_a_new_reader_out(
    monkeypatch: pytest.MonkeyPatch,
):
    world = make_world(check_s=1.0)

    async def never(session: int) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(world.stream, "watch", never)
    monkeypatch.setattr(hub, "WATCH_DEADLINE_S", 0.05, raising=False)
    world.log.append(DELTA)
    async with world.hub:
        async with asyncio.timeout(2):
            client = await world.client()
        await world.settle()
        assert client.seqs == [1]
        world.tell(DELTA)
        await world.settle(3.0)

        assert client.seqs == [1, 2]
        await client.leave()
