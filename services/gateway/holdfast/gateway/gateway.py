"""What the routes work with: one object for each application, put together in `app`."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Annotated

import structlog
from fastapi import Depends, Request

from holdfast.events.clock import Clock
from holdfast.events.errors import StreamUnavailable
from holdfast.events.store import Store
from holdfast.events.stream import Publisher, Wakes
from holdfast.gateway.hub import Hub
from holdfast.gateway.metrics import Metrics
from holdfast.gateway.probe import Probe
from holdfast.gateway.settings import Settings
from holdfast.gateway.workflows import Workflows

# A hint saves up to a second of the workers' polling; past a tenth of that it isn't worth a caller's time.
HINT_TIMEOUT_S = 0.1

# Sessions being folded at once: each holds a state of up to some MB and asks for one page after the other. Four of them
# leave two of the pool's six connections to everybody else.
FOLDS_MAX = 4

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
    draining: bool = False
    folds: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FOLDS_MAX))
    replays: int = 0  # being shown right now

    @property
    def streams(self) -> int:
        """How many streams are open: subscriptions and replays."""
        return self.hub.subscribers + self.replays

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
        await self.hub.drain()


async def _gateway(request: Request) -> Gateway:
    return request.app.state.gateway


Here = Annotated[Gateway, Depends(_gateway)]
