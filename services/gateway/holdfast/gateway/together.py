"""Questions of one kind that many clients have at the same moment, asked together.

One query is in flight, or a few, and the next one takes all that gathered meanwhile. No answer is older than the call
that gets it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from holdfast.events.errors import StoreUnavailable
from holdfast.gateway.tasks import Flight, Spawn

Key = TypeVar("Key")
Answer = TypeVar("Answer")

# One query's worth: 1,000 keys cost Postgres about 5 ms.
KEYS_MAX = 1000

# A query is 0.25 ms of this loop, as much as two connects. In a wave each turn of the loop is full of those, and brings
# more: 16 turns make one query of a hundred connects, instead of twenty. Who comes alone waits for two empty turns.
PATIENT_TURNS = 16


class Together(Generic[Key, Answer]):
    """A gateway that restarts is asked for 10,000 sessions at once; this makes 10 queries of them."""

    def __init__(
        self,
        ask: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Answer]]],
        spawn: Spawn,
        *,
        keys_max: int = KEYS_MAX,
        patient_turns: int = 0,
        at_once: int = 1,
    ) -> None:
        """At most `at_once` queries are in flight.

        With `patient_turns`, wait so many turns of the event loop at most, as long as they bring more keys.
        """
        self._ask_for, self._spawn, self._keys_max = ask, spawn, keys_max
        self._patient_turns, self._at_once = patient_turns, at_once
        self._wanted: dict[Key, Flight[Answer | None]] = {}
        self._asking = 0

    async def of(self, key: Key) -> Answer | None:
        """Return the answer for `key`, asked for after this call; None if there is none.

        Raises what the query raises.
        """
        answer = self._wanted.get(key)
        if answer is None:
            answer = self._wanted[key] = Flight()
        if self._asking < self._at_once:
            self._asking += 1
            self._spawn(self._ask())
        return await answer.wait()

    async def _gather(self) -> None:
        # Two turns without news end it: a request that arrives in one turn asks its question in the next.
        idle = gathered = 0
        for _ in range(self._patient_turns):
            idle = 0 if len(self._wanted) > gathered else idle + 1
            gathered = len(self._wanted)
            if idle == 2 or gathered >= self._keys_max:
                return
            await asyncio.sleep(0)

    async def _ask(self) -> None:
        try:
            while self._wanted:
                await self._gather()
                keys = list(self._wanted)[: self._keys_max]
                flights = {key: self._wanted.pop(key) for key in keys}
                try:
                    answers = await self._ask_for(keys)
                except Exception as error:  # noqa: BLE001  # whoever asked gets it, whatever it is
                    for flight in flights.values():
                        flight.fail(error)
                except BaseException:
                    for flight in (*flights.values(), *self._wanted.values()):
                        flight.fail(StoreUnavailable("the gateway is stopping"))
                    raise
                else:
                    for key, flight in flights.items():
                        flight.land(answers.get(key))
        finally:
            self._asking -= 1
