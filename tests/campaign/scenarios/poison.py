"""A run that kills every worker that takes it is given up, and costs nobody else their run."""

import asyncio

from tests.campaign.field import WORKFLOWS
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

# Takeovers before it is given up: fewer than shipped, so that one is over in ten seconds.
ATTEMPTS_MAX = 2
DOOMED_AT_ONCE = 2
GIVEN_UP_WITHIN_S = 60.0

VICTIMS = 2


async def _announced(round_: Round) -> None:
    while not await round_.field.rows("select from workflows where name = 'doomed'"):  # noqa: ASYNC110 - a row
        await asyncio.sleep(0.05)


class Poison:
    """Each unit is one run that was given up."""

    name = "poison"
    title = "run that kills its workers"
    ci = 2
    units = 40
    batch = 10
    setting = Setting(in_flight=4)
    must_fire = ("poison.stop", "claim.takeover")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Let doomed runs come two at a time, and workers that know them for as long as it takes."""
        left = list(range(first, first + count))
        over = asyncio.Event()

        async def volunteers() -> None:
            # Who is spared doesn't know the workflow, and never takes it.
            known = ",".join((*WORKFLOWS, "tests.campaign.doomed"))
            while not over.is_set():
                child = await round_.field.worker(
                    HOLDFAST_WORKFLOWS=known, HOLDFAST_ATTEMPTS_MAX=str(ATTEMPTS_MAX)
                )
                done, pending = await asyncio.wait(
                    [asyncio.create_task(child.gone.wait()), asyncio.create_task(over.wait())],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                del done
                for task in pending:
                    task.cancel()
                if not child.alive:
                    round_.fault(f"{child.name} died of a run", at=child.died_at)
                else:
                    await round_.field.forge.leave([child])

        async def doom() -> None:
            while left:
                left.pop()
                # A gateway refuses what no worker has ever announced.
                await _announced(round_)
                run = await round_.load.start("doomed", {}, plain=True)
                deadline = round_.field.timeline.now() + GIVEN_UP_WITHIN_S
                while not await round_.field.ended([run.run_id]):
                    if round_.field.timeline.now() > deadline:
                        round_.broken.append(f"{run.run_id} kills workers and is not given up")
                        return
                    await asyncio.sleep(0.1)
                round_.done["given up"] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(VICTIMS):
                group.create_task(volunteers())
            async with asyncio.TaskGroup() as dooming:
                for _ in range(DOOMED_AT_ONCE):
                    dooming.create_task(doom())
            over.set()
