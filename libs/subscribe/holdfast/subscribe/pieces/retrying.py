"""Trying again in place, for listeners on the bus: a durable subscription does this better, and survives a restart."""

import random

from holdfast.events.clock import Clock, SystemClock, jittered
from holdfast.subscribe.delivery import Delivery, GiveUp, Handler
from holdfast.subscribe.subscription import Retry

SPREAD = 0.2


def retrying(
    handler: Handler,
    retry: Retry,
    *,
    clock: Clock | None = None,
    chance: random.Random | None = None,
) -> Handler:
    """Try an event as often as `retry` says; the last error is raised, and GiveUp at once."""
    clock, chance = clock or SystemClock(), chance or random.Random()

    async def attempt(event: Delivery) -> None:
        tries = 0
        while True:
            try:
                return await handler(event)
            except GiveUp:
                raise
            except Exception:
                tries += 1
                pause_s = retry.pause_s(tries)
                if pause_s is None:
                    raise
            await clock.sleep(jittered(pause_s, SPREAD, chance))

    return attempt
