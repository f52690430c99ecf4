"""What the routes work with: one object for each application, put together in `app`."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends, Request

from holdfast.events.clock import Clock
from holdfast.events.errors import SessionUnknown, StreamUnavailable
from holdfast.events.store import Located, Run, SessionInfo, SessionName, Store
from holdfast.events.stream import Publisher, Wakes
from holdfast.gateway.folding import Folding
from holdfast.gateway.hub import Hub
from holdfast.gateway.metrics import Metrics
from holdfast.gateway.probe import Probe
from holdfast.gateway.problems import Problem
from holdfast.gateway.seats import Seats
from holdfast.gateway.settings import Settings
from holdfast.gateway.together import Together
from holdfast.gateway.turnstile import Turnstile
from holdfast.gateway.workflows import Workflows

# A hint saves up to a second of the workers' polling; past a tenth of that it isn't worth a caller's time.
HINT_TIMEOUT_S = 0.1

# Sessions being folded at once: each holds a state of up to some MB and asks for one page after the other. Three
# leave one of the four connections that are not reserved to everybody else.
FOLDS_MAX = 3

# A fold of 10,000 events takes 0.2 s, of one with a snapshot 0.02 s: who is the 64th in line waits for seconds. Beyond
# that a caller is better told to come back than kept.
FOLDS_WAITING_MAX = 64
FOLD_PATIENCE_S = 10.0
FOLD_RETRY_S = (1, 5)

# Connects being worked at once. Each is some 0.1 ms of this loop, measured, around one wait for the store, which finds
# all of their sessions in one query: so many are worth one, and whoever is live waits for a round of them, some 20 ms.
CONNECTS_MAX = 200

# At 5,000 connects a second and more, 20,000 are let in meanwhile; the others come back after 1.5 to 4 s, by when it is
# their turn. Clients that give up on a silent server do so after 5 s and more.
CONNECT_PATIENCE_S = 4.0

log = structlog.get_logger("holdfast.gateway")


@dataclass(slots=True)
class Gateway:
    """The parts of a running gateway, and whether it is on its way out."""

    settings: Settings
    store: Store
    publisher: Publisher
    wakes: Wakes
    hub: Hub
    workflows: Workflows
    metrics: Metrics
    probe: Probe
    clock: Clock
    chance: random.Random
    seats: Seats
    admission: Turnstile
    folds: Turnstile
    folding: Folding
    locating: Together[SessionName, Located]
    draining: bool = False
    told_of_proxy: bool = False  # said once: who else sends that header is no news

    @property
    def streams(self) -> int:
        """How many streams are open: subscriptions and replays."""
        return self.seats.taken

    async def session(self, tenant: str, session_id: str) -> SessionInfo:
        """Look a session up, once for all clients that ask at the same moment. Raises as the desk does."""
        return await self.hub.lookups.ask(
            ("session", tenant, session_id), lambda: self.store.desk.session(tenant, session_id)
        )

    async def locate(self, tenant: str, session_id: str) -> Located:
        """Find a session, in one query for all clients that ask at the same moment. Raises SessionUnknown.

        Raises StoreUnavailable.
        """
        located = await self.locating.of((tenant, session_id))
        if located is None:
            raise SessionUnknown(session_id)
        return located

    async def run(self, tenant: str, run_id: str) -> Run:
        """Look a run up, once for all clients that ask at the same moment. Raises as the desk does."""
        return await self.hub.lookups.ask(
            ("run", tenant, run_id), lambda: self.store.desk.run(tenant, run_id)
        )

    @asynccontextmanager
    async def fold_turn(self) -> AsyncGenerator[None]:
        """Wait for a turn to fold. Raises Problem when there are too many before."""
        turn = self.folds.come()
        try:
            if not await turn.called:
                raise Problem(
                    429,
                    "too-many-requests",
                    "too many sessions are being folded; make the same request again",
                    headers={"retry-after": str(self.chance.randint(*FOLD_RETRY_S))},
                )
            yield
        finally:
            turn.leave()

    async def hint(self, session: int) -> None:
        """Tell the workers of a command. Best effort: they look by themselves every second."""
        try:
            async with asyncio.timeout(HINT_TIMEOUT_S):
                await self.publisher.hint_work(session)
        except (StreamUnavailable, TimeoutError) as error:
            log.info("hint.lost", session=session, reason=type(error).__name__)

    async def drain(self) -> None:
        """Stop being ready, and send the streams' readers elsewhere over the time that settings give."""
        self.draining = True
        self.admission.close()
        await self.hub.drain()


async def _gateway(request: Request) -> Gateway:
    return request.app.state.gateway


Here = Annotated[Gateway, Depends(_gateway)]
