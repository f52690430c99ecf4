"""Kill -9 at every failpoint of a worker's write path, several workers at once; the rest take over."""

import asyncio

from tests.campaign.points import WORKER, Action, Point, Shot, needs_drain, shots
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

# Workers under fire at a time: with two that are spared and the clients, two cores are most of the time busy.
ARMED = 6

# A worker comes up in 0.1 s and passes most points many times a second; the rarest (a takeover's) about every second.
FIRES_WITHIN_S = 6.0

# Then the next one tries at the first opportunity; a point that nobody passes in all of these is a broken plan.
TRIES_MAX = 10

# What the next one finds beside what is there: with ten runs in flight some workers have none.
MORE_SESSIONS = 3

# Passed before a worker says that it is up, or by saying so.
BEFORE_UP = frozenset({"claim.before", "claim.after", "announce.before", "announce.after"})

CI_EACH, EACH = 4, 40


class FailpointKills:
    """Each unit is one worker that dies at one failpoint; the points take turns."""

    name = "failpoint-kills"
    title = "worker killed at a failpoint"
    ci = CI_EACH * len(WORKER)
    units = EACH * len(WORKER)
    batch = 2 * len(WORKER)
    setting = Setting(in_flight=10)
    must_fire = (
        "claim.takeover",
        "unknown.recorded",
        "publish.gap",
        "publish.rebase",
        "client.reconnect",
    )

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Have every point shot at in turn, some workers at a time."""
        todo = [WORKER[unit % len(WORKER)] for unit in range(first, first + count)]
        # Not by kind: deaths of one kind in a row would meet one kind of survivor only.
        round_.chance.shuffle(todo)
        async with asyncio.TaskGroup() as group:
            for _ in range(ARMED):
                group.create_task(self._gunner(round_, todo))

    async def _gunner(self, round_: Round, todo: list[Point]) -> None:
        while todo:
            point = todo.pop()
            for tries in range(TRIES_MAX):
                if await self._shoot(round_, point, patient=tries == 0):
                    round_.done[point.name] += 1
                    break
            else:
                round_.broken.append(f"nobody passed {point.name} in {TRIES_MAX} tries")

    async def _shoot(self, round_: Round, point: Point, *, patient: bool) -> bool:
        armed = shots(point, Action.KILL, round_.chance, lease_s=round_.field.lease_s)
        if not patient:
            armed[-1] = Shot(point.name, Action.KILL)
        child = await round_.field.worker(armed)
        if point.name not in BEFORE_UP:
            await round_.up(child)
        if needs_drain(point):
            # Who has nothing has nothing to give back; a run that ticks is still there when it is told to end.
            await round_.load.start("ticker")
            await round_.at_work(child, within_s=FIRES_WITHIN_S)
            await asyncio.sleep(round_.chance.uniform(0.0, 0.2))
            child.terminate()
        elif point.name.startswith("checkpoint"):
            # Of ten runs in the mix one is of the team; who is waiting for a checkpoint gets more to choose from.
            await round_.load.start("team")
        elif not patient:
            # Eight others look for work, too.
            await asyncio.gather(*(_two_in_a_row(round_) for _ in range(MORE_SESSIONS)))
        if await round_.fired(child, str(armed[-1]), within_s=FIRES_WITHIN_S):
            await child.gone.wait()
            round_.fault(f"{child.name} died at {armed[-1]}", at=child.died_at)
            return True
        # It has what others wait for: gone the hard way, too.
        round_.fault(f"{child.name} killed, it never came to {armed[-1]}", at=child.kill())
        await child.gone.wait()
        return False


async def _two_in_a_row(round_: Round) -> None:
    """Ask for two runs of one session: its owner finds the second when it would let go."""
    first = await round_.load.start("ledger", plain=True)
    await round_.load.start("ledger", plain=True, session=first.session)
