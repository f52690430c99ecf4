"""Workers that stand still past their lease and come back: what they still have to say is refused."""

import asyncio
import signal

from tests.campaign.points import Action, Shot
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

VICTIMS = 5

# Of a lease: from a pause that nobody notices to one after which others have long gone on.
PAUSE_LEASES = (0.5, 3.0)

# Long enough to notice what was lost, and to own something again.
AWAKE_S = (0.2, 1.0)

# A worker that wakes up suspends itself within milliseconds, so that few appends of zombies ever leave: every second
# one has some on their way already, held up in front of the database for as long as a lease and more.
HELD_UP_CHANCE = 0.5
HELD_UP = tuple(Shot("append.before", Action.DELAY, at, 1.2) for at in range(4, 100, 6))

# A worker that has come back so often makes room for a fresh one.
PAUSES_MAX = 8


class Zombies:
    """Each unit is one pause of one worker."""

    name = "zombies"
    title = "worker stopped for 0.5 to 3 leases"
    ci = 20
    units = 1_000
    batch = 100
    setting = Setting(in_flight=12)
    must_fire = ("append.fenced", "claim.takeover", "lease.lost")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Stop workers and let them go on, each in its own time."""
        left = list(range(first, first + count))

        async def hypnotist() -> None:
            while left:
                held_up = round_.chance.random() < HELD_UP_CHANCE
                child = await round_.field.worker(HELD_UP if held_up else ())
                await round_.up(child)
                for _ in range(PAUSES_MAX):
                    if not left or not child.alive:
                        break
                    left.pop()
                    await asyncio.sleep(round_.chance.uniform(*AWAKE_S))
                    pause_s = round_.chance.uniform(*PAUSE_LEASES) * round_.field.lease_s
                    round_.fault(f"{child.name} stands still for {pause_s:.2f} s")
                    child.send(signal.SIGSTOP)
                    try:
                        await asyncio.sleep(pause_s)
                    finally:
                        child.send(signal.SIGCONT)
                    round_.done["pause"] += 1
                # One that lost everything must still know how to leave.
                for late in await round_.field.forge.leave([child]):
                    round_.broken.append(f"{late.name} did not end when it was told to")

        async with asyncio.TaskGroup() as group:
            for _ in range(VICTIMS):
                group.create_task(hypnotist())
