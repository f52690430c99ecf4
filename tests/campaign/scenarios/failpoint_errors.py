"""At every failpoint what an adapter may do short of dying: fail, take effect without a word, take its time.

A worker outlives all of that, and ends with exit code 0 when it is told to.
"""

import asyncio

from tests.campaign.points import WORKER, Action, Point, Shot, needs_drain, shots
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

UNITS: tuple[tuple[Point, Action], ...] = tuple(
    (point, action) for point in WORKER for action in point.actions()
)

ARMED = 5

# Several shots to a worker: what it suffers while it recovers is worth more than two lives.
SHOTS_EACH = 8
FIRES_WITHIN_S = 6.0
TRIES_MAX = 10

VICTIM_LIFE_S = (0.5, 1.5)

CI_EACH, EACH = 1, 20


class FailpointErrors:
    """Each unit is one action at one failpoint."""

    name = "failpoint-errors"
    title = "errors, lost replies and delays at failpoints"
    ci = CI_EACH * len(UNITS)
    units = EACH * len(UNITS)
    batch = 2 * len(UNITS)
    setting = Setting(in_flight=10)
    must_fire = ("unknown.recorded", "unknown.absent", "publish.dup", "publish.failed")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Have every action done at every point, several to a worker."""
        todo = [UNITS[unit % len(UNITS)] for unit in range(first, first + count)]
        round_.chance.shuffle(todo)
        tried: dict[tuple[Point, Action], int] = {}

        async def gunner() -> None:
            while todo:
                some, todo[:SHOTS_EACH] = todo[:SHOTS_EACH], []
                for unit in await self._shoot(round_, some, first_time=not tried):
                    tried[unit] = tried.get(unit, 0) + 1
                    if tried[unit] < TRIES_MAX:
                        todo.append(unit)
                    else:
                        round_.broken.append(f"nobody passed {unit[0].name} in {TRIES_MAX} tries")

        async with asyncio.TaskGroup() as group:
            dying = group.create_task(self._victims(round_))
            async with asyncio.TaskGroup() as gunners:
                for _ in range(ARMED):
                    gunners.create_task(gunner())
            dying.cancel()

    async def _victims(self, round_: Round) -> None:
        """Kill a worker now and then: what happens in a takeover only would never come up otherwise."""
        while True:
            child = await round_.field.worker()
            await round_.up(child)
            await asyncio.sleep(round_.chance.uniform(*VICTIM_LIFE_S))
            round_.fault(f"{child.name} killed", at=child.kill())
            await child.gone.wait()

    async def _shoot(
        self, round_: Round, units: list[tuple[Point, Action]], *, first_time: bool
    ) -> list[tuple[Point, Action]]:
        """Arm one worker with all of these; return what it never came to."""
        armed: list[Shot] = []
        last: dict[str, tuple[Point, Action]] = {}
        for point, action in units:
            these = shots(point, action, round_.chance, lease_s=round_.field.lease_s)
            if not first_time:
                these[-1] = Shot(point.name, action, 1, these[-1].seconds)
            armed += these
            last[str(these[-1])] = (point, action)
        child = await round_.field.worker(armed)
        round_.fault(f"{child.name} is armed with {', '.join(last)}")
        await round_.up(child)
        draining = [text for text, (point, _) in last.items() if needs_drain(point)]
        deadline = round_.field.timeline.now() + FIRES_WITHIN_S
        for text in last:
            if text not in draining:
                left = max(0.0, deadline - round_.field.timeline.now())
                await round_.fired(child, text, within_s=left)
        # What it still has to recover from comes out now, and then it must know how to leave.
        await asyncio.sleep(round_.chance.uniform(0.1, 0.5))
        for late in await round_.field.forge.leave([child]):
            round_.broken.append(f"{late.name} did not end when it was told to")
        round_.look()
        fired = {shot for name, shot, _ in round_.notes.fired if name == child.name}
        for text in last.keys() & fired:
            point, action = last[text]
            round_.done[f"{point.name} {action}"] += 1
        return [unit for text, unit in last.items() if text not in fired]
