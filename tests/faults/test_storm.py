"""Everybody comes back at once, and nobody is worse off for it: not who comes back, not what else the gateway does."""

from collections.abc import Iterator

import pytest

from holdfast.events.pool_postgres import GATEWAY_CONNECTIONS
from tests.campaign.storm import StormReport, storm
from tests.e2e.stack import Stack
from tests.faults.breaking import THOROUGH, fault_marks, restarted, stack_of

pytestmark = [*fault_marks, pytest.mark.long, pytest.mark.timeout(900 if THOROUGH else 180)]

CLIENTS = 5_000 if THOROUGH else 500
STORMS = 20 if THOROUGH else 1

# Measured: 500 in 1 s. The rest is for a machine that does other things as well.
BACK_WITHIN_S = 120.0 if THOROUGH else 20.0

# Beside that a new process has to import all of it, and the supervisor to notice.
REPLACED_WITHIN_S = BACK_WITHIN_S + 40.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with stack_of("--gateways", "1", "--orchestrators", "1") as stack:
        yield stack


def check(report: StormReport, clients: int) -> None:
    print(report)
    assert report.violations == []
    assert report.connects >= clients
    assert report.late_checks == 0, "the head check queued behind the storm"
    assert report.postgres_connections_max <= GATEWAY_CONNECTIONS


@pytest.mark.parametrize("_", range(STORMS))
async def test_when_all_streams_are_cut_at_once_everybody_is_back_and_missed_nothing(
    stack: Stack, _: int
):
    report = await storm(clients=CLIENTS, url=stack.url, within_s=BACK_WITHIN_S)

    check(report, CLIENTS)
    # A successor may have everybody back before its first one is due; a gateway that lived on has had some.
    assert report.checks > 0


async def test_the_clients_of_a_killed_gateway_are_served_by_its_successor(stack: Stack):
    """A process that knows no session, no head and no page, and all of its clients within its first second."""

    async def kill() -> None:
        await restarted(stack, "gateway-1")

    report = await storm(clients=CLIENTS, url=stack.url, disturb=kill, within_s=REPLACED_WITHIN_S)

    check(report, CLIENTS)
    # From the moment in which there was a gateway again.
    assert report.recovered_s - report.served_again_s < BACK_WITHIN_S
