"""Gateways, Redis, Postgres and the network between them are hurt while clients read: nothing is lost, doubled,
reordered or left hanging; and where a database lies, the same looks find it out.
"""

from collections.abc import AsyncIterator

import pytest

from tests.campaign.ci import holds
from tests.campaign.engine import servers_of, stage
from tests.campaign.field import Field
from tests.campaign.registry import SCENARIOS

pytestmark = [
    pytest.mark.alone,  # promised bounds are asserted: nothing else may use the cores
    pytest.mark.fault,
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
async def field() -> AsyncIterator[Field]:
    """One stack for all of them: they want the same, and each leaves it whole."""
    scenario = SCENARIOS["gateway-kills"]
    async with servers_of(scenario) as servers, stage(scenario, servers, servers.root / "f") as one:
        yield one


async def test_two_hundred_clients_go_on_when_their_gateway_dies(field: Field) -> None:
    await holds("gateway-kills", field)


# Early: what held a head check up before, such as a database that stood still, would be counted as the storm's.
async def test_everybody_may_come_back_at_once(field: Field) -> None:
    await holds("storm", field)


async def test_redis_may_die_at_any_moment(field: Field) -> None:
    await holds("redis-kills", field)


async def test_redis_may_be_flushed_and_windows_deleted_and_trimmed(field: Field) -> None:
    await holds("redis-flushes", field)


async def test_redis_may_come_back_without_the_end_of_its_file(field: Field) -> None:
    await holds("redis-tail-cuts", field)


async def test_redis_may_fail_over_to_a_replica_that_lacks_the_tail(field: Field) -> None:
    await holds("redis-failovers", field)


@pytest.mark.long
async def test_redis_may_refuse_writes_for_every_reason_it_has(field: Field) -> None:
    await holds("redis-refuses", field)


async def test_what_a_client_saw_is_in_the_log_of_a_postgres_that_crashed_then(
    field: Field,
) -> None:
    await holds("postgres-stops", field)


@pytest.mark.long
async def test_postgres_may_lose_a_backend_be_killed_and_stand_still(field: Field) -> None:
    await holds("postgres-troubles", field)


async def test_a_writer_finds_out_what_became_of_a_commit_without_a_reply(field: Field) -> None:
    await holds("commit-replies-lost", field)


@pytest.mark.long
async def test_the_network_may_hold_back_forget_delay_and_throttle(field: Field) -> None:
    await holds("network", field)


@pytest.mark.long
async def test_clients_that_do_not_read_cost_nobody_anything_and_read_on(field: Field) -> None:
    await holds("slow-clients", field)


@pytest.mark.long
async def test_everything_may_be_restarted_in_turn_under_load(field: Field) -> None:
    await holds("rolling-restarts", field)


async def test_a_database_that_loses_what_it_confirmed_is_found_out(field: Field) -> None:
    await holds("lying-database", field)


@pytest.mark.long
async def test_nobody_is_served_other_events_after_a_restore_of_an_older_copy(
    field: Field,
) -> None:
    await holds("older-backup", field)
