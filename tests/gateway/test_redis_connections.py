"""Connections to Redis grow with gateways, not with clients or sessions."""

import asyncio
import random

import pytest

from holdfast.events.clock import SystemClock
from holdfast.events.store_memory import MemoryStore
from holdfast.events.stream import Published
from holdfast.gateway.hub import Hub
from holdfast.gateway.request import SubscriptionRequest
from tests.contract.stream_rigs import RedisRig, until
from tests.factories import delta, in_run, owned_session, running
from tests.gateway.clients import Client

pytest_plugins = ["tests.contract.stream_fixtures"]

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

CONNECTIONS_MAX = 4


async def connections(rig: RedisRig) -> int:
    """Those that the gateway has, by their names."""
    return sum([await rig.clients(name) for name in ("holdfast", "holdfast-wakes")])


async def test_a_hundred_viewers_of_a_run_and_fifty_sessions_share_four_connections(
    redis_rig: RedisRig,
):
    store = MemoryStore()
    owners = [await owned_session(store, f"s{number}") for number in range(51)]
    watched, *others = owners
    run_id = await running(watched)
    hub = Hub(
        store.reader,
        redis_rig.stream,
        redis_rig.stream.wakes(),
        clock=SystemClock(),
        chance=random.Random(1),
    )
    async with hub:
        wanted = [SubscriptionRequest(session=watched.session, run_id=run_id)] * 100
        wanted += [SubscriptionRequest(session=owner.session) for owner in others]
        clients = await asyncio.gather(*(Client.connect(hub, request) for request in wanted))
        most = 0
        for _ in range(20):
            await watched.append(in_run(delta(), run_id))
            page = await store.reader.read(watched.session, after=0)
            published = redis_rig.stream.publish(watched.session, page.items)
            # As much as happens in one moment: hints, and reads of what is announced by its head alone.
            hints = (redis_rig.stream.hint_work(owner.session) for owner in others)
            for owner in others:
                hub._tail.wake(owner.session)  # pyright: ignore[reportPrivateUsage]
            assert (await asyncio.gather(published, *hints))[0] is Published.OK
            most = max(most, await connections(redis_rig))
        head = watched.head
        await until(lambda: all(client.cursor == head for client in clients[:100]))

        assert 2 <= most <= CONNECTIONS_MAX
        await asyncio.gather(*(client.leave() for client in clients))
