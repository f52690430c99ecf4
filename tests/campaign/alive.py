"""Whether the stack serves: one new run, asked for, followed through a gateway and seen to its end."""

import asyncio
from collections.abc import Callable

from tests.campaign.round import Round

# A restart, a reconnect with its back-off and a takeover after it (the lease plus 2 s), on a machine that does more.
RECOVERY_S = 30.0

# Three events: enough for an order, few enough to be over at once.
TICKS = 3

_LOOK_S = 0.02

_LAST = "select max(seq) from events where run_id = $1"


async def goes_on(round_: Round, sample: str) -> bool:
    """Let a new run come and see it end at a client; note how long that took, or that it never came about."""
    timeline = round_.field.timeline
    begun = timeline.now()
    ticket = await round_.load.start("ticker", {"events": TICKS, "interval_ms": 1}, plain=True)
    reader = round_.crowd.follow(ticket.session, run_id=ticket.run_id)
    last = 0
    while timeline.now() < begun + RECOVERY_S:
        if not last and await round_.field.ended([ticket.run_id]):
            # Not the session's head: the mix may have another run begin behind this one.
            last = (await round_.field.rows(_LAST, ticket.run_id))[0][0]
        if last and reader.cursor >= last:
            round_.sample(sample, timeline.now() - begun)
            return True
        await asyncio.sleep(_LOOK_S)
    round_.broken.append(f"{ticket.run_id} was not seen to end within {RECOVERY_S:g} s")
    return False


async def until(round_: Round, check: Callable[[], bool], what: str) -> bool:
    """Wait for a condition; one that doesn't come about is a finding of the round."""
    deadline = round_.field.timeline.now() + RECOVERY_S
    while not check():
        if round_.field.timeline.now() > deadline:
            round_.broken.append(f"not within {RECOVERY_S:g} s: {what}")
            return False
        await asyncio.sleep(_LOOK_S)
    return True
