"""The network between a service and its servers holds everything back, forgets connections, is slow, or is narrow."""

import asyncio
import itertools
from contextlib import AsyncExitStack

from tests.campaign.alive import goes_on
from tests.campaign.field import Field
from tests.campaign.forge import Child
from tests.campaign.round import Round
from tests.campaign.scenario import Setting
from tests.campaign.wire import Trouble, Wire, wire

TROUBLES = tuple(trouble for trouble in Trouble if trouble is not Trouble.NONE)
LINES = tuple(itertools.product(("worker", "gateway"), ("postgres", "redis")))
UNITS = tuple(itertools.product(LINES, TROUBLES))

# From a hiccup to longer than a lease, an acquisition and a lock; a statement is given up after 5 s.
TROUBLED_S = (0.5, 5.5)
WELL_S = (0.2, 1.0)

CI_EACH, EACH = 1, 5


class Network:
    """Each unit is one trouble on one of the four lines; all lines are in trouble at the same time, each in its own."""

    name = "network"
    title = "network faults between services and servers"
    ci = CI_EACH * len(UNITS)
    units = EACH * len(UNITS)
    batch = 2 * len(UNITS)
    setting = Setting(in_flight=10, clients_max=60)
    must_fire = ("publish.failed", "client.reconnect")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Put wires before two workers and two gateways, and trouble them."""
        todo = [UNITS[unit % len(UNITS)] for unit in range(first, first + count)]
        field = round_.field
        redis = field.servers.redis
        port = field.servers.postgres.port
        assert redis.port is not None, "it has been started"
        assert port is not None, "it has been started"
        ports = {"postgres": port, "redis": redis.port}
        async with AsyncExitStack() as stack:
            lines: dict[tuple[str, str], Wire] = {}
            children: list[Child] = []
            for kind, server in LINES:
                line = await stack.enter_async_context(
                    wire("127.0.0.1", ports[server], round_.chance)
                )
                lines[kind, server] = line
                children.append(await _behind(field, kind, server, line))
            async with asyncio.TaskGroup() as group:
                for at, line in lines.items():
                    mine = [trouble for where, trouble in todo if where == at]
                    group.create_task(_troubled(round_, at, line, mine))
            # Those behind the wires are gone before the wires are.
            for url, child in list(field.gateway_children.items()):
                if child in children:
                    field.gateways.remove(url)
                    del field.gateway_children[url]
            for late in await field.forge.leave(children):
                round_.broken.append(f"{late.name} did not end when it was told to")
        await goes_on(round_, "seen after network faults")


async def _behind(field: Field, kind: str, server: str, line: Wire) -> Child:
    """Start a service that reaches one of its servers by way of a wire."""
    start = field.worker if kind == "worker" else field.gateway
    if server == "postgres":
        return await start(HOLDFAST_DATABASE_URL=line.url(field.database_url))
    return await start(HOLDFAST_REDIS_URL=line.url(field.servers.redis.url))


async def _troubled(
    round_: Round, at: tuple[str, str], line: Wire, troubles: list[Trouble]
) -> None:
    where = " to ".join(at)
    for trouble in troubles:
        await asyncio.sleep(round_.chance.uniform(*WELL_S))
        seconds = round_.chance.uniform(*TROUBLED_S)
        round_.fault(f"{where}: {trouble.value} for {seconds:.1f} s")
        line.becomes(trouble)
        await asyncio.sleep(seconds)
        line.becomes(Trouble.NONE)
        round_.done[f"{where}: {trouble.value}"] += 1
