"""The positive control: a database that confirms what it may lose is found out, by the probe and the judge that find
nothing elsewhere. Without it, "nothing was lost" could mean that nobody looked.
"""

from contextlib import suppress

from holdfast.verify.invariants import Invariant
from tests.campaign.apart import apart
from tests.campaign.durable import Probe
from tests.campaign.judge import judge
from tests.campaign.round import Round, playing
from tests.campaign.scenario import Setting
from tests.campaign.scenarios.postgres_stops import crash_at_receipt

# It confirms before it writes, and writes every ten seconds.
LIES = {"synchronous_commit": "off", "wal_writer_delay": "10s"}

# One is enough, where a crash falls between a confirmation and the next write.
CRASHES_MAX = 5


class LyingDatabase:
    """Each unit is one database that was found out."""

    name = "lying-database"
    title = "positive control: a database that loses what it confirmed is found out"
    ci = 1
    units = 20
    batch = 2
    setting = Setting(in_flight=2, clients_max=4, churn=0.0)
    must_fire = ("control.probe", "control.judge")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Have the same crashes as an honest database, and demand that the same looks find something."""
        for unit in range(first, first + count):
            async with apart(spared=2, gateways=2, postgres=LIES, HOLDFAST_UNSAFE_DEV="1") as field:
                # No load but the run that is watched: sessions that vanish under it are not what this is about.
                with suppress(_FoundOut):
                    async with playing(field, unit, in_flight=0) as lied_to:
                        # What is before this is on disk: the schema, and that there are workers.
                        await field.rows("checkpoint")
                        await _find_out(round_, lied_to)
            round_.done["found out"] += 1


class _FoundOut(Exception):
    """Enough was seen: nothing of this stack has to come to rest."""


async def _find_out(round_: Round, lied_to: Round) -> None:
    probe = Probe(lied_to)
    for _ in range(CRASHES_MAX):
        lost = await crash_at_receipt(lied_to, probe)
        if not lost:
            continue
        round_.fault(f"a lying database was found out: {lost[0]}")
        round_.notes.counts["control.probe"] += 1
        said = (await judge(lied_to, "lying-database")).violations
        wanted = (Invariant.DURABILITY, Invariant.DURABLE_BEFORE_VISIBLE)
        if any(invariant.words in text for invariant in wanted for text in said):
            round_.notes.counts["control.judge"] += 1
        else:
            round_.broken.append(f"the probe found {lost[0]}, and the judge only {said[:3]}")
        await lied_to.load.close()
        raise _FoundOut
    round_.broken.append(f"a lying database was crashed {CRASHES_MAX} times and not found out")
