"""Windows vanish under their readers: all of them, one of them, or what is in them."""

import asyncio

from tests.campaign.alive import goes_on
from tests.campaign.redis_harm import tell, windows
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

KINDS = ("FLUSHALL", "DEL", "XTRIM")

# Most of a window's life is over within half a second of it.
WELL_S = (0.05, 0.5)


class RedisFlushes:
    """Each unit is one flush, one deleted window, or every window trimmed."""

    name = "redis-flushes"
    title = "Redis flushed, windows deleted and trimmed"
    ci = 10
    units = 300
    batch = 50
    setting = Setting(in_flight=12, clients_max=80)
    must_fire = ("publish.gap", "publish.rebase", "gateway.repair.behind")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Take them away in turns, and see a run to its end after each."""
        redis = round_.field.servers.redis
        for unit in range(first, first + count):
            await asyncio.sleep(round_.chance.uniform(*WELL_S))
            kind = KINDS[unit % len(KINDS)]
            if kind == "FLUSHALL":
                await tell(redis, "FLUSHALL")
            else:
                found = await windows(redis)
                round_.chance.shuffle(found)
                # The one that is deleted is one of those that are written to, not one of an ended session.
                for key in found if kind == "XTRIM" else found[:8]:
                    if kind == "XTRIM":
                        await tell(redis, "XTRIM", key.decode(), "MAXLEN", 0)
                    else:
                        await tell(redis, "DEL", key.decode())
            round_.fault(kind)
            await goes_on(round_, "seen after a flush")
            round_.done[kind] += 1
