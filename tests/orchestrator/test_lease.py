"""Leases are renewed from a thread while the loop ticks; in doubt the worker suspends itself."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from typing import cast

import pytest

from holdfast.events.errors import StoreUnavailable
from holdfast.orchestrator.lease import COMPUTING_LEASES_MAX, ClaimsConnection, LeaseKeeper
from tests.orchestrator.harness import until

LEASE_S = 0.6


class Leases:
    """The claims as the lease thread sees them: renewals are counted, fail or find a session lost."""

    def __init__(self) -> None:
        self.renewals: list[float] = []
        self.sessions: list[dict[int, int]] = []
        self.away = False
        self.breaks = 0  # so many renewals end in an error of no known kind
        self.lost: set[int] = set()
        self.renewing = threading.Event()  # set: it is at the store
        self.answers = threading.Event()
        self.answers.set()
        self.opened = self.closed = 0
        self.close_breaks = False

    async def open(self) -> "Leases":
        if self.away:
            raise StoreUnavailable("away")
        self.opened += 1
        return self

    async def close(self) -> None:
        self.closed += 1
        if self.close_breaks:
            raise RuntimeError("nor of this")

    async def renew(
        self, worker: str, sessions: Mapping[int, int], *, lease_s: float
    ) -> frozenset[int]:
        if self.away:
            raise StoreUnavailable("away")
        if self.breaks:
            self.breaks -= 1
            raise RuntimeError("nobody thought of this")
        self.renewing.set()
        assert self.answers.wait(5)
        self.renewals.append(time.monotonic())
        self.sessions.append(dict(sessions))
        return frozenset(sessions) & self.lost


Lost = list[tuple[int, int]]


def make_keeper(leases: Leases, lost: Lost) -> LeaseKeeper:
    def on_lost(session: int, epoch: int) -> None:
        lost.append((session, epoch))

    connection = cast("ClaimsConnection", leases)  # it has all of it that the keeper uses
    return LeaseKeeper("w1", connection, lease_s=LEASE_S, on_lost=on_lost)


@pytest.fixture
def leases() -> Leases:
    return Leases()


@pytest.fixture
def lost() -> Lost:
    return []


@pytest.fixture
async def keeper(leases: Leases, lost: Lost) -> AsyncIterator[LeaseKeeper]:
    keeper = make_keeper(leases, lost)
    keeper.start()
    yield keeper
    await keeper.stop()


async def test_held_sessions_are_renewed_three_times_a_lease(
    keeper: LeaseKeeper, leases: Leases
) -> None:
    keeper.hold(1, 7)
    keeper.hold(2, 3)
    await until(lambda: len(leases.renewals) >= 4)
    gaps = [b - a for a, b in zip(leases.renewals, leases.renewals[1:], strict=False)]
    assert min(gaps) >= LEASE_S / 3 * 0.9
    assert leases.sessions[-1] == {1: 7, 2: 3}
    assert not keeper.suspended


async def test_a_session_that_is_given_back_is_renewed_no_more(
    keeper: LeaseKeeper, leases: Leases
) -> None:
    keeper.hold(1, 7)
    keeper.hold(2, 3)
    keeper.drop(1, 7)
    keeper.drop(2, 2)  # an older epoch's word counts for nothing
    await until(lambda: bool(leases.sessions))
    assert leases.sessions[-1] == {2: 3}


async def test_a_session_that_is_given_back_while_it_is_renewed_is_not_taken_for_lost(
    keeper: LeaseKeeper, leases: Leases, lost: Lost
) -> None:
    leases.answers.clear()
    keeper.hold(1, 7)
    keeper.hold(2, 3)
    await until(leases.renewing.is_set)
    keeper.drop(1, 7)
    leases.lost = {1, 2}  # neither has this owner any more
    leases.answers.set()
    await until(lambda: bool(lost))
    assert lost == [(2, 3)]


async def test_two_thirds_of_a_lease_without_renewal_suspend_the_worker_until_it_renews(
    keeper: LeaseKeeper, leases: Leases
) -> None:
    keeper.hold(1, 1)
    await until(lambda: bool(leases.renewals))
    leases.away = True
    last = leases.renewals[-1]
    await until(lambda: keeper.suspended)
    assert time.monotonic() - last >= LEASE_S * 2 / 3 * 0.95
    waiting = asyncio.create_task(keeper.active())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    leases.away = False
    async with asyncio.timeout(5):
        await waiting
    assert not keeper.suspended
    assert leases.opened == 2  # a connection that failed is not used again


async def test_a_blocked_loop_keeps_no_lease_alive(keeper: LeaseKeeper, leases: Leases) -> None:
    keeper.hold(1, 1)
    await until(lambda: len(leases.renewals) >= 2)
    blocked_at = time.monotonic()
    time.sleep(LEASE_S * 1.5)  # noqa: ASYNC251 - blocking the loop is the point
    late = [r for r in leases.renewals if r > blocked_at + LEASE_S / 3 + 0.05]
    assert late == []
    assert keeper.loop_blocked
    await until(lambda: keeper.suspended)
    await until(lambda: not keeper.suspended)


async def test_a_loop_that_computes_keeps_its_leases_for_a_while(
    keeper: LeaseKeeper, leases: Leases, lost: Lost
) -> None:
    """A step that takes the CPU for itself harms its neighbours enough: they are not taken over on top of that."""
    keeper.hold(1, 1)
    await until(lambda: len(leases.renewals) >= 2)
    blocked_at = time.monotonic()
    while time.monotonic() < blocked_at + LEASE_S * (COMPUTING_LEASES_MAX + 2):
        sum(range(1000))
    gaps = [b - a for a, b in pairwise([*leases.renewals, time.monotonic()])]
    kept_s = leases.renewals[-1] - blocked_at

    assert kept_s > LEASE_S * (COMPUTING_LEASES_MAX - 1)
    assert max(gaps[:-1]) < LEASE_S
    # It is given up in the end: there is code that computes for ever.
    assert kept_s <= LEASE_S * COMPUTING_LEASES_MAX
    assert gaps[-1] >= LEASE_S


async def test_a_lost_session_is_told_once_in_the_main_loop(
    keeper: LeaseKeeper, leases: Leases, lost: Lost
) -> None:
    keeper.hold(1, 7)
    keeper.hold(2, 3)
    leases.lost = {1}
    await until(lambda: bool(lost))
    rounds = len(leases.sessions)
    await until(lambda: len(leases.sessions) >= rounds + 2)
    assert lost == [(1, 7)]
    assert leases.sessions[-1] == {2: 3}


async def test_stopping_ends_the_thread_and_closes_its_connection(
    leases: Leases, lost: Lost
) -> None:
    keeper = make_keeper(leases, lost)
    keeper.start()
    await until(lambda: leases.opened == 1)
    await keeper.stop()
    assert leases.closed >= 1
    assert not keeper.alive


async def test_no_error_ends_the_thread_that_renews(keeper: LeaseKeeper, leases: Leases) -> None:
    leases.breaks, leases.close_breaks = 2, True
    keeper.hold(1, 1)
    await until(lambda: bool(leases.renewals))
    assert keeper.alive
    assert leases.opened == 3  # a connection that failed is not used again


async def test_a_keeper_whose_thread_has_ended_is_not_alive(leases: Leases, lost: Lost) -> None:
    keeper = make_keeper(leases, lost)
    assert keeper.alive  # not begun yet
    keeper.start()
    assert keeper.alive
    await keeper.stop()
    assert not keeper.alive
