"""Workers are killed, stopped and lied to by the hundred while clients read: nothing is lost, doubled, reordered or
left hanging, and every session is taken over within the lease plus 2 s.
"""

from collections.abc import AsyncIterator

import pytest

from tests.campaign.ci import holds
from tests.campaign.engine import servers_of, stage
from tests.campaign.field import Field
from tests.campaign.registry import SCENARIOS

pytestmark = [
    pytest.mark.alone,  # a promised bound is asserted: nothing else may use the cores
    pytest.mark.fault,
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
async def field() -> AsyncIterator[Field]:
    """One stack for all of them: they want the same, and each leaves it whole."""
    scenario = SCENARIOS["failpoint-kills"]
    async with servers_of(scenario) as servers, stage(scenario, servers, servers.root / "f") as one:
        yield one


async def test_a_worker_may_die_at_every_failpoint_of_the_write_path(field: Field) -> None:
    await holds("failpoint-kills", field)


async def test_a_worker_may_die_at_any_moment(field: Field) -> None:
    await holds("random-kills", field)


async def test_a_worker_that_stood_still_past_its_lease_adds_nothing(field: Field) -> None:
    await holds("zombies", field)


async def test_a_worker_outlives_every_error_lost_reply_and_delay(field: Field) -> None:
    await holds("failpoint-errors", field)


async def test_a_run_that_kills_its_workers_is_given_up(field: Field) -> None:
    await holds("poison", field)
