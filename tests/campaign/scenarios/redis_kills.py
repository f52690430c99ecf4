"""Kill -9 of Redis: events come from the log meanwhile, and through the window again when it is back."""

import asyncio

from tests.campaign.alive import goes_on
from tests.campaign.redis_harm import down
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

# From back at once to longer than a head check.
AWAY_S = (0.0, 1.5)
WELL_S = (0.0, 0.5)


class RedisKills:
    """Each unit is one death of Redis."""

    name = "redis-kills"
    title = "Redis killed"
    ci = 10
    units = 300
    batch = 25
    setting = Setting(clients_max=60)
    must_fire = ("publish.failed", "client.reconnect")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Kill it over and over; every second time it stays away while a run is seen to its end without it."""
        redis = round_.field.servers.redis
        for unit in range(first, first + count):
            await asyncio.sleep(round_.chance.uniform(*WELL_S))
            round_.fault("Redis killed")
            async with down(redis):
                if unit % 2:
                    await goes_on(round_, "seen while Redis was away")
                else:
                    await asyncio.sleep(round_.chance.uniform(*AWAY_S))
            round_.fault("Redis back")
            await goes_on(round_, "seen after Redis was back")
            round_.done["kill"] += 1
