"""Redis comes back without the end of its file, as after a power cut: what had been published is published again.

Windows may have holes afterwards. A cut inside a transaction leaves its first half in the file: Redis 7.0 doesn't carry
that out when it loads the file, goes on writing behind it, and carries it out at the next start, mixed with what had
been published meanwhile. Readers fill a hole from the store, as any gap; nobody sees a wrong event.
"""

import asyncio

from tests.campaign.alive import goes_on, until
from tests.campaign.redis_harm import cut_tail, down, tail_bytes
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

CUT_BYTES = (1_024, 64 * 1_024)

# At a thousand events a second this is a file longer than what is cut.
WELL_S = (0.3, 1.0)


class RedisTailCuts:
    """Each unit is one death after which 1 to 64 KB are missing."""

    name = "redis-tail-cuts"
    title = "Redis restarted without the tail of its file"
    ci = 5
    units = 300
    batch = 25
    setting = Setting(in_flight=12, clients_max=60, whole_windows=False)
    must_fire = ("publish.gap", "publish.rebase")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Kill it, cut its file, and start it again."""
        redis = round_.field.servers.redis
        for _ in range(count):
            await asyncio.sleep(round_.chance.uniform(*WELL_S))
            await until(round_, lambda: tail_bytes(redis) >= CUT_BYTES[0], "something is published")
            round_.fault("Redis killed")
            async with down(redis):
                cut = await asyncio.to_thread(cut_tail, redis, round_.chance.randint(*CUT_BYTES))
            round_.fault(f"Redis back without its last {cut:,} bytes")
            await goes_on(round_, "seen after a tail cut")
            round_.done["cut"] += 1
