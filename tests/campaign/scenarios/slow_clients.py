"""Fifty clients read nothing, or ten bytes a second: no gateway grows for it, nobody else waits, and they read on."""

import asyncio

import psutil

from tests.campaign.alive import goes_on
from tests.campaign.dawdler import dawdler
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

CLIENTS = 50
SLOW_S = 20.0

# What a slow client may cost a gateway; and what a gateway may grow by for other reasons: the mix, pages of the log.
CLIENT_BYTES_MAX = 256 * 1024
GATEWAY_BYTES_MAX = 32 * 1024 * 1024

# A history that the buffers of no such connection take: twenty starts of a run with an input of 150 KB.
STARTS, JUNK_BYTES = 20, 150_000

BUILT_WITHIN_S = 60.0
LOOK_S = 0.5


class SlowClients:
    """Each unit is one spell of all of them."""

    name = "slow-clients"
    title = f"{CLIENTS} clients that read nothing or 10 B/s for {SLOW_S:g} s"
    ci = 1
    units = 10
    batch = 2
    setting = Setting(in_flight=6, clients_max=CLIENTS + 40)
    must_fire = ("client.slow",)

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Let them come to a long history, watch the gateways, wake them up and see them catch up."""
        for _ in range(first, first + count):
            session = await _history(round_)
            gateways = [
                psutil.Process(c.pid) for c in round_.field.gateway_children.values() if c.alive
            ]
            before = sum(gateway.memory_info().rss for gateway in gateways)
            awake = asyncio.Event()
            slow = [dawdler(round_, session, awake, drips=n % 2 == 1) for n in range(CLIENTS)]
            over = round_.fault(f"{CLIENTS} slow clients come") + SLOW_S
            most = before
            while round_.field.timeline.now() < over:
                await goes_on(round_, "seen beside slow clients")
                most = max(most, sum(gateway.memory_info().rss for gateway in gateways))
                await asyncio.sleep(LOOK_S)
            head = (await round_.field.heads([session]))[session]
            if any(reader.cursor >= head for reader in slow):
                round_.broken.append("a slow client was served everything: nothing was shown")
            round_.fault(f"they wake up; the gateways grew by {most - before:,} bytes")
            if most - before > CLIENTS * CLIENT_BYTES_MAX + len(gateways) * GATEWAY_BYTES_MAX:
                round_.broken.append(f"gateways grew by {most - before:,} bytes for slow clients")
            round_.sample("MB that gateways grew by", (most - before) / 1e6)
            round_.notes.counts["client.slow"] += CLIENTS
            begun = round_.field.timeline.now()
            awake.set()
            while any(reader.cursor < head for reader in slow):
                if round_.field.timeline.now() > begun + BUILT_WITHIN_S:
                    round_.broken.append("slow clients that woke up did not catch up")
                    break
                await asyncio.sleep(0.05)
            round_.sample("slow clients caught up", round_.field.timeline.now() - begun)
            round_.done["spell"] += 1


async def _history(round_: Round) -> str:
    """Return a session with three megabytes of events."""
    load, timeline = round_.load, round_.field.timeline
    given = {"messages": 1, "pieces": 1, "pause_ms": 0}
    first = await load.start("talk", given, plain=True)
    junk = {**given, "junk": "x" * JUNK_BYTES}
    runs = [
        await load.start("talk", junk, plain=True, session=first.session) for _ in range(STARTS)
    ]
    deadline = timeline.now() + BUILT_WITHIN_S
    while len(await round_.field.ended([run.run_id for run in runs])) < STARTS:
        assert timeline.now() < deadline, "the history does not get done"
        await asyncio.sleep(0.1)
    return first.session
