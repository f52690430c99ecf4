"""A commit's reply is lost, or the commit before it: to its writer both look the same, and it has to find out."""

import asyncio
from contextlib import AsyncExitStack

from tests.campaign.forge import Child
from tests.campaign.lossy import Lose, LossyProxy, lossy_proxy
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

WRITERS = 4

# After a loss: the outcome is looked up, the run goes on, the next loss may hit what was repeated.
WELL_S = (0.0, 0.3)

# Half of the runs of the mix tick or talk several times a second. One writer may own none of them for long, if the
# others have room for all; one of the four must.
LOST_WITHIN_S = 10.0

_LOOK_S = 0.02


class CommitRepliesLost:
    """Each unit is one append whose reply, or which itself, got lost on the way."""

    name = "commit-replies-lost"
    title = "reply of a commit lost"
    ci = 20
    units = 1_000
    batch = 100
    setting = Setting(in_flight=12, clients_max=60)
    must_fire = ("unknown.recorded", "unknown.absent")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Give some workers a lossy way to the database, and lose something of each, over and over."""
        proxies: list[LossyProxy] = []
        writers: list[Child] = []

        async def loser(proxy: LossyProxy) -> None:
            while round_.done.total() < count and not round_.broken:
                await asyncio.sleep(round_.chance.uniform(*WELL_S))
                what = round_.chance.choice(list(Lose))
                before = proxy.lost.total()
                proxy.lose(what)
                await lost(proxy, before)
                if proxy.lost.total() > before and round_.done.total() < count:
                    round_.fault(f"a {what.value} is lost")
                    round_.done[what.value] += 1

        async def lost(proxy: LossyProxy, before: int) -> None:
            """Wait until something of this writer got lost, or the others lost all that the round asks for."""
            everywhere, deadline = -1, 0.0
            while proxy.lost.total() == before and round_.done.total() < count:
                if everywhere != (everywhere := sum(each.lost.total() for each in proxies)):
                    deadline = round_.field.timeline.now() + LOST_WITHIN_S
                if round_.field.timeline.now() > deadline:
                    round_.broken.append("no writer wrote anything that could be lost")
                    return
                await asyncio.sleep(_LOOK_S)

        async with AsyncExitStack() as stack:
            for _ in range(WRITERS):
                proxy = await stack.enter_async_context(lossy_proxy(round_.field.database_url))
                proxies.append(proxy)
                writers.append(await round_.field.worker(HOLDFAST_DATABASE_URL=proxy.url))
            for child in writers:
                await round_.up(child)
            async with asyncio.TaskGroup() as group:
                for proxy in proxies:
                    group.create_task(loser(proxy))
            for late in await round_.field.forge.leave(writers):
                round_.broken.append(f"{late.name} did not end when it was told to")
