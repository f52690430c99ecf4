"""Postgres is put back to a copy of its data taken earlier: who is beyond what survived is told, and is never served
other events under the numbers of those that it has.
"""

import asyncio
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from holdfast.verify.history import Client, Got
from holdfast.verify.rows_postgres import read_rows
from tests.campaign.alive import RECOVERY_S
from tests.campaign.apart import apart
from tests.campaign.field import Field
from tests.campaign.forge import Child
from tests.campaign.round import Round, playing
from tests.campaign.scenario import Setting

# As shipped, a lease is longer than a gateway takes to find that it is ahead of the log.
LEASE_S = 8

RUNS, READERS_EACH = 4, 4

# Long enough for the copy, what is lost, and what comes after.
RUN = {"events": 600, "interval_ms": 10}

KEPT, LOST = 30, 60

# Readers come and go while all of this happens: some come back with a cursor that is of the future.
CHURN = 0.3

# All runs end, the claims of the copy being void at once or after a lease, and all readers see it.
REST_S = 60.0

COPIED_WITHIN_S = 60.0


class OlderBackup:
    """Each unit is one restore, on a stack of its own."""

    name = "older-backup"
    title = "Postgres restored from an older copy"
    ci = 1
    units = 20
    batch = 2
    setting = Setting(in_flight=2, clients_max=4, churn=0.0)
    must_fire = ("client.reset",)

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Copy, go on, restore; then hold every client against the log that is left."""
        for unit in range(first, first + count):
            async with apart(spared=2, gateways=2, HOLDFAST_LEASE_S=str(LEASE_S)) as field:
                async with playing(field, unit, in_flight=0, churn=CHURN) as restored:
                    await _restore(round_, restored)
                await _hold(round_, restored)
            round_.done["restore"] += 1


async def _restore(round_: Round, restored: Round) -> None:
    field, postgres = restored.field, restored.field.servers.postgres
    for _ in range(RUNS):
        run = await restored.load.start("ticker", RUN, plain=True)
        for _ in range(READERS_EACH):
            restored.crowd.follow(run.session)
    copy = postgres.data_dir / "copy"
    await _all_beyond(restored, KEPT)
    round_.fault("a copy is made")
    await asyncio.to_thread(postgres.stop)
    await asyncio.to_thread(_copied, postgres.cluster, copy)
    await asyncio.to_thread(postgres.start)
    furthest = max(reader.cursor for reader, _ in restored.crowd.readers)
    await _all_beyond(restored, furthest + LOST)
    round_.fault("the copy is put back")
    await asyncio.to_thread(postgres.stop)
    await asyncio.to_thread(shutil.rmtree, postgres.cluster)
    await asyncio.to_thread(_copied, copy, postgres.cluster)
    await asyncio.to_thread(postgres.start)
    deadline = field.timeline.now() + REST_S
    while len(await field.ended(sorted(restored.load.tickets))) < RUNS:
        if field.timeline.now() > deadline:
            round_.broken.append("not all runs of a restored log came to an end")
            return
        await _replaced(field)
        await asyncio.sleep(0.1)


async def _hold(round_: Round, restored: Round) -> None:
    sessions = sorted({ticket.session for ticket in restored.load.tickets.values()})
    rows = await read_rows(restored.field.database_url, sessions)
    for client in restored.crowd.clients:
        log = next(log for log in rows.logs if log.session == client.session)
        round_.notes.counts["client.reset"] += _resets(client)
        run_id = client.want.run_id
        # These runs have none below them: what a reader of one is to have is what says so of itself.
        due = {e.seq: e.digest for e in log.events if run_id is None or e.run_id == run_id}
        wrong = held_against(client, due)
        if wrong is not None:
            round_.broken.append(f"restored log: {client.name} of {client.session} {wrong}")


def held_against(client: Client, log: Mapping[int, bytes]) -> str | None:
    """Return what is wrong with what an obedient client has in the end: it drops what a reset tells it to, no more."""
    has: dict[int, bytes] = {}
    for number, connection in enumerate(client.connections):
        # It comes back further down on purpose now and then; from there on it takes what comes.
        has = {seq: digest for seq, digest in has.items() if seq <= connection.cursor}
        for seen in connection.seen:
            if seen.kind is Got.RESET:
                has = {seq: digest for seq, digest in has.items() if seq <= seen.seq}
            elif seen.kind is Got.EVENT:
                if has.get(seen.seq, seen.digest) != seen.digest:
                    return f"got another event {seen.seq} without a reset (connection {number})"
                has[seen.seq] = seen.digest
    for seq in sorted(has.keys() | log.keys()):
        if has.get(seq) != log.get(seq):
            return f"has {'no' if seq not in has else 'another'} event {seq} in the end, untold"
    return None


def _resets(client: Client) -> int:
    return sum(
        seen.kind is Got.RESET for connection in client.connections for seen in connection.seen
    )


async def _all_beyond(restored: Round, seq: int) -> None:
    deadline = restored.field.timeline.now() + RECOVERY_S
    while any(reader.cursor <= seq for reader, _ in restored.crowd.readers):
        assert restored.field.timeline.now() < deadline, f"not all readers came to {seq}"
        await asyncio.sleep(0.02)


async def _replaced(field: Field) -> None:
    """Do what a supervisor does: a service that ended because its log is another one is started again."""
    for place, child in enumerate(field.spared):
        if not child.alive:
            field.spared[place] = await field.worker(name=field.name("spared"), deaf=True)
    dead: list[tuple[str, Child]] = [
        (url, child) for url, child in field.gateway_children.items() if not child.alive
    ]
    for url, _ in dead:
        await field.gateway(port=int(url.rpartition(":")[2]))


def _copied(source: Path, target: Path) -> None:
    """Copy a cluster with its owner."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True, timeout=COPIED_WITHIN_S)
