"""Every worker and every gateway is replaced in turn under load, as a deployment does: nobody misses anything."""

import asyncio

from tests.campaign.alive import goes_on
from tests.campaign.forge import LEAVE_S, Child
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

WORKERS = 3


class RollingRestarts:
    """Each unit is the restart of all of them."""

    name = "rolling-restarts"
    title = "rolling restart of everything under load"
    ci = 1
    units = 50
    batch = 5
    setting = Setting(in_flight=12, clients_max=80, churn=0.02)
    must_fire = ("gateway.ended.drain", "client.reconnect")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Replace one after the other; a gateway at its address, a worker by one that is up first."""
        field = round_.field
        workers = [await field.worker() for _ in range(WORKERS)]
        for child in workers:
            await round_.up(child)
        for _ in range(first, first + count):
            for url in list(field.gateways):
                child = field.gateway_children[url]
                begun = round_.fault(f"{child.name} is told to end")
                await _left(round_, child)
                round_.sample("gateway gone", field.timeline.now() - begun)
                await field.gateway(port=int(url.rpartition(":")[2]))
            for place, child in enumerate(workers):
                workers[place] = await field.worker()
                await round_.up(workers[place])
                begun = round_.fault(f"{child.name} is told to end")
                await _left(round_, child)
                round_.sample("worker gone", field.timeline.now() - begun)
            await goes_on(round_, "seen after a rolling restart")
            round_.done["restart"] += 1
        for child in workers:
            await _left(round_, child)


async def _left(round_: Round, child: Child) -> None:
    """Tell one to end, and wait until it has."""
    child.terminate()
    try:
        async with asyncio.timeout(LEAVE_S):
            await child.gone.wait()
    except TimeoutError:
        round_.broken.append(f"{child.name} did not end when it was told to")
        child.kill()
        await child.gone.wait()
