"""The pace of the head check, as it is shown: what a storm, or a store that is away, does to it."""

from tests.gateway.worlds import Counting, World, make_world


class Paced(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.intervals: list[float] = []

    def checked(self, interval_s: float) -> None:
        self.intervals.append(interval_s)


def paced_world() -> tuple[World, Paced]:
    seen = Paced()
    return make_world(observer=seen), seen


async def test_every_comparison_tells_how_long_after_the_one_before_it_came():
    world, seen = paced_world()
    async with world.hub:
        await world.settle(30)

    assert sum(seen.intervals) > 30 - 3
    assert all(1.0 <= interval <= 3.0 for interval in seen.intervals), seen.intervals


async def test_a_check_that_the_store_did_not_answer_is_none():
    """Else the pace would look best when nothing is compared at all."""
    world, seen = paced_world()
    async with world.hub:
        client = await world.client()
        await world.settle(6)
        before = len(seen.intervals)
        world.log.down = True
        await world.settle(20)
        assert len(seen.intervals) == before
        world.log.down = False
        await world.settle(3)
        await client.leave()

    assert 20 <= seen.intervals[before] <= 24
