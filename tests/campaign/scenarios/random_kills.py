"""Kill -9 of a worker at no particular moment: what no list of failpoints thought of."""

import asyncio

from tests.campaign.round import Round
from tests.campaign.scenario import Setting

VICTIMS = 4

# From before the first claim to some takeovers later.
LIFE_S = (0.0, 1.6)

STILLBORN_CHANCE = 0.2


class RandomKills:
    """Each unit is one worker that is killed some time after its start."""

    name = "random-kills"
    title = "worker killed at random"
    ci = 40
    units = 1_000
    batch = 200
    setting = Setting(in_flight=10)
    must_fire = ("claim.takeover", "client.reconnect")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Let victims live and die side by side."""
        left = list(range(first, first + count))

        async def executioner() -> None:
            while left:
                left.pop()
                child = await round_.field.worker()
                # One in five dies while it starts.
                if round_.chance.random() > STILLBORN_CHANCE:
                    await round_.up(child)
                await asyncio.sleep(round_.chance.uniform(*LIFE_S))
                at = child.kill()
                await child.gone.wait()
                round_.fault(f"{child.name} killed", at=at)
                round_.done["kill"] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(VICTIMS):
                group.create_task(executioner())
