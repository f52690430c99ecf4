"""Postgres loses a backend, is killed outright, or stands still for seconds."""

import asyncio
import os
import signal
from contextlib import suppress

import psutil

from tests.campaign.alive import goes_on
from tests.campaign.durable import Probe
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

KINDS = ("backend killed", "postmaster killed", "stood still")

WELL_S = (0.1, 0.8)

# Around the timeouts of a lock (2 s), of an acquisition (2 s) and of a lease (1 s here).
STILL_S = (1.0, 5.0)

# One that is writing just now, if there is one; of a worker in any case. It is told to go, and says goodbye: a signal
# that it can't refuse would end all the others, too.
_TERMINATE = """
select pg_terminate_backend(pid) from pg_stat_activity
 where datname = current_database() and application_name like 'holdfast-worker%'
 order by (state <> 'idle') desc, state_change desc limit 1
"""


class PostgresTroubles:
    """Each unit is one trouble; the kinds take turns."""

    name = "postgres-troubles"
    title = "Postgres loses a backend, is killed, stands still"
    ci = len(KINDS)
    units = 50 * len(KINDS)
    batch = 4 * len(KINDS)
    setting = Setting(clients_max=60)
    must_fire = ("client.reconnect",)

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Have one trouble after the other, and see a run to its end after each."""
        probe = Probe(round_)
        for unit in range(first, first + count):
            kind = KINDS[unit % len(KINDS)]
            await asyncio.sleep(round_.chance.uniform(*WELL_S))
            round_.fault(kind)
            if kind == "backend killed":
                if not (await round_.field.rows(_TERMINATE))[0][0]:
                    round_.broken.append("no backend of a worker was there to be killed")
            elif kind == "postmaster killed":
                await asyncio.to_thread(round_.field.servers.postgres.kill)
                round_.broken += await probe.crashed()
            else:
                await _still(round_)
            await goes_on(round_, f"seen after: {kind}")
            round_.done[kind] += 1


async def _still(round_: Round) -> None:
    """Stop all of it, the postmaster first so that it replaces nobody; no connection breaks."""
    pid = round_.field.servers.postgres.pid
    assert pid is not None, "it has been started"
    postmaster = psutil.Process(pid)
    stopped: list[int] = []
    try:
        for number in [pid, *(child.pid for child in postmaster.children(recursive=True))]:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGSTOP)
                stopped.append(number)
        await asyncio.sleep(round_.chance.uniform(*STILL_S))
    finally:
        for number in reversed(stopped):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGCONT)
