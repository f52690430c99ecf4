"""A worker of the simulation: the production orchestrator in a process that can be killed, and is started again."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from holdfast.events.store import Claim
from holdfast.orchestrator.lease import SharedClaims
from holdfast.orchestrator.metrics import WorkerMetrics
from holdfast.orchestrator.orchestrator import Orchestrator
from holdfast.orchestrator.settings import OrchestratorSettings
from holdfast.orchestrator.workflow import Workflows
from tests.simulation.clocks import SimulatedClock
from tests.simulation.nap import Nap
from tests.simulation.process import Process
from tests.simulation.workflows import WORKFLOWS

if TYPE_CHECKING:
    from tests.simulation.world import World

# Two seconds: three renewals in it, and a takeover within five seconds of virtual time.
LEASE_S = 2.0

# Takeovers in a row before a run is given up: enough that faults alone seldom get there.
ATTEMPTS_MAX = 4


@cache
def _settings() -> OrchestratorSettings:
    """Return every worker's settings but its name; reading them costs more than a whole simulated second."""
    return OrchestratorSettings(
        database_url=SecretStr("postgresql://unused"),
        redis_url=SecretStr("redis://unused"),
        lease_s=LEASE_S,
        poll_s=1.0,
        retry_backoff_s=0.1,
        drain_s=2.0,
        coalesce_ms=30,
        attempts_max=ATTEMPTS_MAX,
    )


class Uncounted(WorkerMetrics):
    """Metrics that nobody reads: a registry with all that is in it costs as much as a tenth of a schedule."""

    def __init__(self) -> None:
        """Make none of them."""

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show nothing."""

    def listened(self, listener: str, outcome: str) -> None:
        """Count nothing."""

    def appended(self, events: int, seconds: float) -> None:
        """Count nothing."""

    def refused(self, sessions: int) -> None:
        """Count nothing."""

    def published(self, outcome: str, sessions: int = 1) -> None:
        """Count nothing."""

    def publish_failed(self) -> None:
        """Count nothing."""

    def claimed(self, claim: Claim) -> None:
        """Count nothing."""

    def released(self) -> None:
        """Count nothing."""


@cache
def _loaded() -> Workflows:
    """Return what every worker has loaded; nobody changes it."""
    workflows = Workflows()
    for one in WORKFLOWS:
        workflows.add(one)
    return workflows


class SideTask:
    """The lease thread, as a part of the process that may be paused alone."""

    def __init__(self, part: Process) -> None:
        self._part, self._stopping = part, False
        self._task: asyncio.Task[Any] | None = None
        self._pausing: Nap | None = None

    @property
    def alive(self) -> bool:
        """Whether it goes on."""
        return self._task is not None and not self._task.done()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin."""
        self._task = self._part.start(work())

    async def pause(self, seconds: float) -> bool:
        """Wait."""
        if not self._stopping:
            self._pausing = Nap(self._part.loop, seconds)
            await self._pausing
        return not self._stopping

    async def stop(self, within_s: float) -> None:
        """End."""
        self._stopping = True
        if self._pausing is not None:
            self._pausing.wake()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=within_s)


class SimulatedWorker:
    """One worker over all its lives."""

    def __init__(self, world: "World", name: str, *, same_name: bool) -> None:
        self.world, self.name = world, name
        self._same_name = same_name  # a restarted worker may be called as before, or not
        self._lives = 0
        self.orchestrator: Orchestrator | None = None
        self.boot()

    def boot(self) -> None:
        """Start a new life."""
        world = self.world
        self._lives += 1
        name = f"{self.name}.{self._lives}"
        self.process = process = Process(world.loop, name)
        store, stream = world.backend.store_for(process), world.backend.stream_for(process)
        part = process.part("lease")
        lease_store = world.backend.store_for(part)
        chance = world.fork(name)
        self.clock = SimulatedClock(
            world.loop,
            skew_s=chance.uniform(-1, 1) * world.plan.skew_s,
            uptime_s=chance.random() * 1000,
        )
        self.orchestrator = process.context.run(
            lambda: Orchestrator(
                _settings().model_copy(
                    update={"worker_name": self.name if self._same_name else name}
                ),
                store=store,
                publisher=stream,
                hints=stream.hints(),
                lease_connection=SharedClaims(lease_store.claims),
                workflows=_loaded(),
                clock=self.clock,
                chance=chance,
                lease_side=SideTask(part),
                metrics=Uncounted(),
            )
        )
        process.start(self._run(self.orchestrator))

    async def _run(self, orchestrator: Orchestrator) -> None:
        process = self.process
        try:
            await orchestrator.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ended a worker
            self.world.records.wrong(f"{process.name} ended with {error!r}")
        process.kill()

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.process.kill()

    def drain(self) -> None:
        """Ask it to give everything back and end."""
        if self.orchestrator is not None:
            self.process.call(self.orchestrator.drain)

    def block_loop(self) -> None:
        """Stop the event loop and not the lease's thread, as a workflow that computes does."""
        for part in self.process.parts:
            parts, self.process.parts = self.process.parts, []
            self.process.pause()
            self.process.parts = parts
            del part
