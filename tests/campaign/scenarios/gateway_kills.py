"""Kill -9 of a gateway under two hundred clients: they go on elsewhere, or where it was, and missed nothing."""

import asyncio

from holdfast.verify.history import Ending
from holdfast.verify.reader import Reader
from tests.campaign.alive import until
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

CLIENTS = 200
READERS_EACH = 10

SESSIONS = CLIENTS // READERS_EACH

# Two events a second and reader: 400 frames a second leave most of a core to everybody else.
INTERVAL_MS = 500
EVENTS = (4, 10)

# How long nobody listens at its address, and how long all is well before the next dies.
AWAY_S = (0.0, 0.5)
WELL_S = (0.0, 0.3)


class GatewayKills:
    """Each unit is one gateway that died while all clients were connected."""

    name = "gateway-kills"
    title = f"gateway killed under {CLIENTS} clients"
    ci = 10
    units = 500
    batch = 50
    setting = Setting(in_flight=SESSIONS + 4, clients_max=CLIENTS + 10, churn=0.01)
    must_fire = ("client.reconnect",)

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Kill one gateway after the other, each when everybody is there."""
        async with asyncio.TaskGroup() as group:
            audience = [group.create_task(_audience(round_)) for _ in range(SESSIONS)]
            for _ in range(count):
                if not await until(round_, lambda: _present(round_) >= CLIENTS, "all are there"):
                    break
                await asyncio.sleep(round_.chance.uniform(*WELL_S))
                await self._kill(round_)
            await until(round_, lambda: _present(round_) >= CLIENTS, "all are there")
            for task in audience:
                task.cancel()

    async def _kill(self, round_: Round) -> None:
        field = round_.field
        url = round_.chance.choice(sorted(field.gateway_children))
        child = field.gateway_children[url]
        there = _present(round_, url)
        at = round_.fault(f"{child.name} killed under {there} clients", at=child.kill())
        await child.gone.wait()
        await asyncio.sleep(round_.chance.uniform(*AWAY_S))
        await field.gateway(port=int(url.rpartition(":")[2]))
        if await until(round_, lambda: _present(round_) >= CLIENTS, "all are back"):
            round_.sample("all clients back", field.timeline.now() - at)
        round_.done["kill"] += 1


async def _audience(round_: Round) -> None:
    """Keep a session going, run after run, that ten clients follow."""
    session: str | None = None
    while True:
        events = round_.chance.randint(*EVENTS)
        given = {"events": events, "interval_ms": INTERVAL_MS}
        ticket = await round_.load.start("ticker", given, plain=True, session=session)
        if session is None:
            session = ticket.session
            for _ in range(READERS_EACH):
                round_.crowd.follow(session)
        await asyncio.sleep(events * INTERVAL_MS / 1000)


def _present(round_: Round, url: str | None = None) -> int:
    """Count who is connected, to one gateway or to any."""
    return sum(not task.done() and _connected(reader, url) for reader, task in round_.crowd.readers)


def _connected(reader: Reader, url: str | None) -> bool:
    if not reader.client.connections:
        return False
    last = reader.client.connections[-1]
    return last.ending is Ending.OPEN and url in (None, last.gateway)
