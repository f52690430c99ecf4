"""Postgres stops at once when a client receives an event: everything that any client saw is in the log it leaves."""

import asyncio
import os
import signal
from collections.abc import Callable

from tests.campaign.alive import goes_on, until
from tests.campaign.durable import Probe
from tests.campaign.load import Ticket
from tests.campaign.round import Round
from tests.campaign.scenario import Setting
from tests.campaign.striker import Striker, striker

# A run that is never far from its next commit, and longer than any unit.
RUN = {"events": 400, "interval_ms": 5}

# The strike comes at one of the first hundred events that are received after the last one.
STRIKE_AT = (1, 100)


class PostgresStops:
    """Each unit is one immediate stop, at the receipt of an event."""

    name = "postgres-stops"
    title = "Postgres stopped at once when a client received an event"
    ci = 10
    units = 300
    batch = 20
    setting = Setting(clients_max=60, churn=0.05)
    must_fire = ("unknown.absent", "client.reconnect")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Crash it at receipts of events, and look at what is left."""
        probe = Probe(round_)
        for _ in range(count):
            found = await crash_at_receipt(round_, probe)
            if found is None:
                return
            round_.broken += found
            await goes_on(round_, "seen after a crash of Postgres")
            round_.done["stop"] += 1
        if not probe.held:
            round_.broken.append("no client had seen anything")


async def crash_at_receipt(round_: Round, probe: Probe) -> list[str] | None:
    """Stop Postgres when a client receives an event; return what was lost then, None if there was no receipt."""
    postgres = round_.field.servers.postgres
    client, run = await _watched(round_)
    pid = postgres.pid
    assert pid is not None, "it has been started"
    struck = client.arm(round_.chance.randint(*STRIKE_AT), _stop(round_, pid))
    if not await until(round_, struck.is_set, f"a client of {run.run_id} receives events"):
        return None
    await asyncio.to_thread(postgres.kill, immediate=True)
    return await probe.crashed()


async def _watched(round_: Round) -> tuple[Striker, Ticket]:
    run = await round_.load.start("ticker", RUN, plain=True)
    return striker(round_, run), run


def _stop(round_: Round, pid: int) -> Callable[[], None]:
    def strike() -> None:
        os.kill(pid, signal.SIGQUIT)
        round_.fault("Postgres told to stop at once")

    return strike
