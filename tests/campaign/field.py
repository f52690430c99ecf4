"""A stack to be hurt: servers, a forge, gateways, and workers that nobody hurts: a living one is always there."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from holdfast.verify.plan import Timeline
from tests.campaign.forge import Child, Forge
from tests.campaign.points import Shot
from tests.campaign.servers import Servers

# The shortest that the product allows: renewals come every third of a second, and a machine may stall a worker for two.
LEASE_S = 1.0

# The observer's own measure of a machine that stands still: what it oversleeps beyond this is a stall.
BEAT_S = 0.05
STALL_MIN_S = 0.1

# A first look at the database may come while it restarts, or before its tables are there.
LOOK_AGAIN_S = 0.1
LOOK_PATIENCE_S = 30.0

# The driver's internal error is what it says of a connection that died in the middle of an answer.
_AWAY = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

WORKFLOWS = (
    "holdfast.orchestrator.workflows.team",
    "holdfast.orchestrator.workflows.ticker",
    "tests.campaign.workflows",
)


@dataclass(slots=True)
class Stalls:
    """When this process was not scheduled, and for how long: an observer that slept measures nobody else's sleep."""

    found: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    async def watch(self) -> None:
        """Watch for ever."""
        while True:
            at, begun = time.time(), time.monotonic()
            await asyncio.sleep(BEAT_S)
            late = time.monotonic() - begun - BEAT_S
            if late > STALL_MIN_S:
                self.found.append((at, late))

    def within(self, at: float, seconds: float) -> float:
        """Return how much of a span was stalled."""
        return sum(late for begun, late in self.found if at - late <= begun <= at + seconds)


class Field:
    """Everything of one database. Made with `open_field`."""

    def __init__(
        self, servers: Servers, forge: Forge, database_url: str, env: Mapping[str, str]
    ) -> None:
        self.servers, self.forge, self.database_url = servers, forge, database_url
        self.timeline, self.stalls = Timeline(), Stalls()
        self.gateways: list[str] = []  # URLs of those that may be asked; replaced in place
        self.gateway_children: dict[str, Child] = {}  # by URL
        self.spared: list[Child] = []  # workers that nobody hurts
        self.lease_s = LEASE_S
        self._env = {
            "HOLDFAST_DATABASE_URL": database_url,
            "HOLDFAST_REDIS_URL": servers.redis.url,
            "HOLDFAST_LEASE_S": str(LEASE_S),
            "HOLDFAST_RETRY_BACKOFF_S": "0.2",
            "HOLDFAST_LLM_OFFLINE_TOKEN_DELAY_S": "0",
            "HOLDFAST_WORKFLOWS": ",".join(WORKFLOWS),
            "HOLDFAST_LOG_LEVEL": "warning",
            # Clients of a killed gateway come back by themselves; those of a draining one are sent within this.
            "HOLDFAST_DRAIN_S": "3",
            **env,
        }
        self._look: asyncpg.Connection[asyncpg.Record] | None = None
        self._looking = asyncio.Lock()  # a connection answers one question at a time
        self._made = 0

    def name(self, kind: str) -> str:
        """Return a name that nobody had."""
        self._made += 1
        return f"{kind}-{self._made}"

    async def worker(
        self,
        shots: Sequence[Shot] = (),
        *,
        name: str | None = None,
        deaf: bool = False,
        **env: str,
    ) -> Child:
        """Start a worker, armed or not."""
        name = name or self.name("worker")
        return await self.forge.worker(name, {**self._env, **env}, shots, deaf=deaf)

    async def spare(self, count: int) -> None:
        """Start workers that nobody hurts. They hear no hints: new work goes to those who will be."""
        for _ in range(count):
            self.spared.append(await self.worker(name=self.name("spared"), deaf=True))

    async def announced(self) -> None:
        """Wait until a worker has announced its workflows: before that there is nothing that could be run."""
        deadline = asyncio.get_running_loop().time() + LOOK_PATIENCE_S
        while not (await self.rows("select count(*) from workflows"))[0][0]:
            assert asyncio.get_running_loop().time() < deadline, "no worker announces anything"
            await asyncio.sleep(LOOK_AGAIN_S)

    async def gateway(
        self, *, port: int | None = None, shots: Sequence[Shot] = (), **env: str
    ) -> Child:
        """Start a gateway, and have it asked from now on; with a `port`, in the place of the one that was there."""
        port = port or self.forge.port()
        child = await self.forge.gateway(
            self.name("gateway"), {**self._env, **env}, port=port, shots=shots
        )
        url = f"http://127.0.0.1:{port}"
        self.gateway_children[url] = child
        if url not in self.gateways:
            self.gateways.append(url)
        return child

    async def rows(self, query: str, *arguments: object) -> list[Any]:
        """Ask the database; again if it is away just now."""
        deadline = time.monotonic() + LOOK_PATIENCE_S
        while True:
            async with self._looking:
                try:
                    if self._look is None or self._look.is_closed():
                        self._look = await asyncpg.connect(self.database_url, timeout=5)
                    return list(await self._look.fetch(query, *arguments))
                except _AWAY:
                    await self._blind()
                    if time.monotonic() > deadline:
                        raise
                except BaseException:
                    # Broken off in the middle of an answer: the next question needs a new connection.
                    await self._blind()
                    raise
            await asyncio.sleep(LOOK_AGAIN_S)

    async def ended(self, runs: Sequence[str]) -> list[str]:
        """Return which of these runs are over."""
        found = await self.rows(
            "select run_id from runs where run_id = any($1) and status in ('completed', 'failed', 'cancelled')",
            list(runs),
        )
        return [row[0] for row in found]

    async def heads(self, sessions: Sequence[str]) -> dict[str, int]:
        """Return the head of each session."""
        found = await self.rows(
            "select session_id, next_seq - 1 from sessions where session_id = any($1)",
            list(sessions),
        )
        return {row[0]: row[1] for row in found}

    async def owner(self, session: str) -> str | None:
        """Return whose name is on a session."""
        found = await self.rows("select owner from sessions where session_id = $1", session)
        return found[0][0] if found else None

    async def clear(self) -> None:
        """Kill every worker that is not spared."""
        for child in list(self.forge.children.values()):
            if child.kind == "worker" and child.alive and child not in self.spared:
                child.kill()
                await child.gone.wait()

    async def close(self) -> None:
        """Stop looking."""
        await self._blind()

    async def _blind(self) -> None:
        if self._look is not None:
            look, self._look = self._look, None
            look.terminate()


@asynccontextmanager
async def open_field(
    servers: Servers,
    directory: Path,
    *,
    spared: int = 2,
    gateways: int = 2,
    env: Mapping[str, str] | None = None,
) -> AsyncGenerator[Field]:
    """Bring a stack up on a fresh database of running `servers`; everything forged is ended with the block."""
    database_url = await servers.database()
    forge = Forge(directory)
    await forge.start()
    field_ = Field(servers, forge, database_url, env or {})
    watching = asyncio.create_task(field_.stalls.watch(), name="stalls")
    try:
        # One after the other: the first to come sets the checkpoints' tables up.
        await field_.spare(spared)
        for _ in range(gateways):
            await field_.gateway()
        if spared:
            await field_.announced()
        yield field_
    finally:
        watching.cancel()
        await field_.close()
        await forge.close()
        await servers.drop(database_url)
