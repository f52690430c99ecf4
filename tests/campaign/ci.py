"""What the tests in this folder share: a scenario at the size that a pull request can wait for."""

import os
import secrets

from tests.campaign.engine import Played, play
from tests.campaign.field import Field
from tests.campaign.registry import SCENARIOS
from tests.campaign.state import Total

# The same seed makes the same choices, and a busy machine another interleaving.
SEED = "HOLDFAST_CAMPAIGN_SEED"


async def holds(name: str, field: Field) -> Played:
    """Play a scenario at its CI size: nothing is broken, everything was done, and every counter was heard.

    Prints the seed and what came of it; `HOLDFAST_CAMPAIGN_SEED` plays it again.
    """
    scenario, total = SCENARIOS[name], Total()
    seed = int(os.environ.get(SEED) or secrets.randbelow(2**32))
    print(f"{name}: {SEED}={seed}")
    played = await play(scenario, field, seed=seed, first=0, count=scenario.ci)
    total.add(played)
    print(
        f"{played.units} units in {played.seconds:.0f} s, {total.runs} runs, {total.events} events,"
        f" {total.clients} clients: {dict(played.verdict.counts)}"
    )
    for kind, sketch in total.sketches.items():
        print(f"{kind}: {len(sketch)}, p99 {sketch.quantile(0.99)}, max {sketch.most:.2f} s")
    assert not played.verdict.violations, "\n\n".join(played.verdict.violations)
    assert played.units == scenario.ci
    assert not total.silent(scenario)
    return played
