"""The heads and states of sessions, asked for together: one query in flight, the next one takes all that gathered."""

from holdfast.events.errors import StoreUnavailable
from holdfast.events.store import Pulse, Reader
from holdfast.gateway.tasks import Flight, Spawn

# One query's worth: 1,000 keys cost Postgres about 5 ms.
PULSES_MAX = 1000


class Pulses:
    """A gateway that restarts gets 10,000 new sessions at once; this makes 10 queries of them."""

    def __init__(self, reader: Reader, spawn: Spawn) -> None:
        self._reader, self._spawn = reader, spawn
        self._wanted: dict[int, Flight[Pulse | None]] = {}
        self._asking = False

    async def of(self, session: int) -> Pulse | None:
        """Return the session's pulse, read after this call; None if there is no such session.

        Raises StoreUnavailable.
        """
        answer = self._wanted.get(session)
        if answer is None:
            answer = self._wanted[session] = Flight()
        if not self._asking:
            self._asking = True
            self._spawn(self._ask())
        return await answer.wait()

    async def _ask(self) -> None:
        try:
            while self._wanted:
                sessions = list(self._wanted)[:PULSES_MAX]
                answers = {session: self._wanted.pop(session) for session in sessions}
                try:
                    pulses = await self._reader.pulses(sessions)
                except Exception as error:  # noqa: BLE001  # whoever asked gets it, whatever it is
                    for answer in answers.values():
                        answer.fail(error)
                except BaseException:
                    for answer in (*answers.values(), *self._wanted.values()):
                        answer.fail(StoreUnavailable("the gateway is stopping"))
                    raise
                else:
                    for session, answer in answers.items():
                        answer.land(pulses.get(session))
        finally:
            self._asking = False
