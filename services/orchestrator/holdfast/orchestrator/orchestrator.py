"""A worker with everything around it: what runs, beginning to end. Which adapters there are is `app`'s to choose."""

import asyncio
import random
from collections.abc import Awaitable
from contextlib import suppress

import structlog

from holdfast.events.clock import Clock, SystemClock
from holdfast.events.errors import LogChanged
from holdfast.events.store import Store
from holdfast.orchestrator.announcing import Announcements
from holdfast.orchestrator.lease import ClaimsConnection, LeaseKeeper, Side
from holdfast.orchestrator.lookout import WorkHints
from holdfast.orchestrator.metrics import WorkerMetrics
from holdfast.orchestrator.owner import OwnerOptions
from holdfast.orchestrator.publishing import Stream, StreamPublisher
from holdfast.orchestrator.recorder import Recorder
from holdfast.orchestrator.settings import OrchestratorSettings
from holdfast.orchestrator.sweeper import Sweeper
from holdfast.orchestrator.worker import Worker, WorkerOptions
from holdfast.orchestrator.workflow import Workflows
from holdfast.subscribe.bus import Bus

# What is committed but unpublished at the end is the sweep's; a moment saves it the work.
PUBLISH_AT_END_S = 1.0

log = structlog.get_logger("holdfast.orchestrator")


class Orchestrator:
    """A worker with everything around it."""

    def __init__(
        self,
        settings: OrchestratorSettings,
        *,
        store: Store,
        publisher: Stream,
        hints: WorkHints,
        lease_connection: ClaimsConnection,
        workflows: Workflows,
        clock: Clock | None = None,
        chance: random.Random | None = None,
        lease_side: Side | None = None,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        clock, chance = clock or SystemClock(), chance or random.Random()
        self.settings, self.workflows = settings, workflows
        self.metrics = metrics or WorkerMetrics()
        self._leases = LeaseKeeper(
            settings.worker_name,
            lease_connection,
            lease_s=settings.lease_s,
            on_lost=self._lost,
            clock=clock,
            side=lease_side,
        )
        self._publishing = StreamPublisher(
            publisher,
            store.reader,
            mark_published=store.claims.mark_published,
            observer=self.metrics,
            clock=clock,
            chance=chance,
        )
        self.bus = Bus(observer=self.metrics)
        for listener in workflows.declared.listeners:
            self.bus.add(listener)
        self._recorder = Recorder(
            store.writer,
            Announcements(self._publishing, self.bus),
            self._leases,
            observer=self.metrics,
            clock=clock,
            chance=chance,
        )
        self._sweeper = Sweeper(store, publisher, clock=clock, chance=chance)
        self._leaving, self._why = asyncio.Event(), LogChanged("")
        self.worker = Worker(
            store,
            options=WorkerOptions(
                name=settings.worker_name,
                lease_s=settings.lease_s,
                poll_s=settings.poll_s,
                sessions_max=settings.sessions_max,
                tenant_max_runs=settings.tenant_max_runs,
                owner=OwnerOptions(
                    worker=settings.worker_name,
                    attempts_max=settings.attempts_max,
                    retry_backoff_s=settings.retry_backoff_s,
                    coalesce_ms=settings.coalesce_ms,
                    coalesce_chars=settings.coalesce_chars,
                ),
            ),
            workflows=workflows,
            recorder=self._recorder,
            publishing=self._publishing,
            leases=self._leases,
            hints=hints,
            observer=self.metrics,
            clock=clock,
            chance=chance,
        )
        self.metrics.watch(
            "holdfast_lease_renewal_age_seconds",
            "Time since the leases were known to be held.",
            lambda: self._leases.renewal_age_s,
        )

    @property
    def live(self) -> bool:
        """Whether the event loop ticks and the leases are looked after."""
        return self._leases.alive and not self._leases.loop_blocked

    @property
    def ready(self) -> bool:
        """Whether the worker looks for work."""
        return self.worker.ready

    def leave(self, error: LogChanged) -> None:
        """End `run` with this error, at once: nothing of what is held in memory can be handed over."""
        self._why = error
        self._leaving.set()

    def drain(self) -> None:
        """Claim nothing more and hand every run over."""
        log.info("worker.draining", owned=self.worker.owned)
        self.worker.drain()

    async def run(self) -> None:
        """Work until drained, or until the drain's time is over. Raises LogChanged when told to `leave`."""
        self._leases.start()
        try:
            async with asyncio.TaskGroup() as group:
                background = [
                    group.create_task(self._until_changed(), name="log-changed"),
                    group.create_task(self._recorder.run(), name="recorder"),
                    group.create_task(self._publishing.run(), name="publisher"),
                    group.create_task(self._sweeper.run(), name="sweeper"),
                    group.create_task(self.bus.run(), name="bus"),
                ]
                await self.worker.run(drain_s=self.settings.drain_s)
                await _for_a_moment(self._publishing.drained())
                for task in background:
                    task.cancel()
        except BaseExceptionGroup as group:
            if group.subgroup(LogChanged) is not None:
                raise self._why from group
            raise
        finally:
            await self._leases.stop()

    async def _until_changed(self) -> None:
        await self._leaving.wait()
        raise self._why

    def _lost(self, session: int, epoch: int) -> None:
        self.worker.lost(session, epoch)


async def _for_a_moment(call: Awaitable[None]) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(call, PUBLISH_AT_END_S)
