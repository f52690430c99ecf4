"""Builds a worker and runs it: the only module of the orchestrator that chooses adapters.

Everything is opened in order on one exit stack and closed in reverse; one task group owns every task, so that a
failure arrives somewhere and shutdown is one cancel.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from holdfast.events.errors import HoldfastError, LogChanged
from holdfast.events.log_check_postgres import OnChanged
from holdfast.events.ops import OpsServer
from holdfast.events.pool_postgres import WORKER_CONNECTIONS, reached
from holdfast.events.store import Claims
from holdfast.events.store_postgres import PostgresStore, open_store
from holdfast.events.stream_redis import RedisStream
from holdfast.events.stream_redis_windows import WindowGauge
from holdfast.events.watchdog import Watchdog, vitals
from holdfast.orchestrator import heap
from holdfast.orchestrator.orchestrator import Orchestrator
from holdfast.orchestrator.settings import OrchestratorSettings
from holdfast.orchestrator.workflow import Resources, Workflows
from holdfast.processes.link import Link

# Five of a worker's eight: one is the lease thread's, two are for LangGraph's checkpoints.
STORE_CONNECTIONS = WORKER_CONNECTIONS - 3

log = structlog.get_logger("holdfast.orchestrator")


class NotDurable(HoldfastError):
    """The database may lose what it has confirmed, so no promise could be kept."""


class PostgresClaimsConnection:
    """The lease thread's own connection."""

    def __init__(
        self,
        database_url: str,
        name: str,
        *,
        log_id: str | None = None,
        on_changed: OnChanged | None = None,
    ) -> None:
        """`log_id` is the log's that the leases are of; `on_changed` is called in the thread's loop (`open_store`)."""
        self._database_url, self._name = database_url, name
        self._log_id, self._on_changed = log_id, on_changed
        self._store: PostgresStore | None = None

    async def open(self) -> Claims:
        """Connect. Raises StoreUnavailable."""
        self._store = await open_store(
            self._database_url,
            pool_max=1,
            application_name=f"holdfast-lease {self._name}"[:63],
            log_id=self._log_id,
            on_changed=self._on_changed,
        )
        return self._store.claims

    async def close(self) -> None:
        """Give the connection back, if there is one."""
        if self._store is not None:
            store, self._store = self._store, None
            await store.close()


@asynccontextmanager
async def open_orchestrator(settings: OrchestratorSettings) -> AsyncGenerator[Orchestrator, None]:
    """Open everything that `settings` name and build a worker on it.

    Raises StoreUnavailable, MigrationError, NotDurable, or ValueError for a Redis URL that is none.
    """
    async with AsyncExitStack() as stack:
        database_url = settings.database_url.get_secret_value()
        loop, told = asyncio.get_running_loop(), list[Orchestrator]()

        def on_changed(error: LogChanged) -> None:
            # Also from the lease's thread. Before there is an orchestrator, whatever is being opened fails by itself.
            for orchestrator in told:
                loop.call_soon_threadsafe(orchestrator.leave, error)

        store = await reached(
            lambda: open_store(
                database_url,
                pool_max=STORE_CONNECTIONS,
                application_name=f"holdfast-worker {settings.worker_name}"[:63],
                on_changed=on_changed,
            )
        )
        stack.push_async_callback(store.close)
        await _check_durable(store, settings)
        redis_url = settings.redis_url.get_secret_value()
        stream = RedisStream.open(redis_url, log_id=store.log_id)
        stack.push_async_callback(stream.close)
        windows = WindowGauge(redis_url, log_id=store.log_id)
        looking = asyncio.create_task(windows.run(), name="windows.gauge")
        stack.callback(looking.cancel)
        workflows = Workflows()
        workflows.load(settings.workflows)
        workflows.load_plugins()
        await workflows.open(Resources(database_url, stack))
        orchestrator = Orchestrator(
            settings,
            store=store,
            publisher=stream,
            hints=stream.hints(),
            lease_connection=PostgresClaimsConnection(
                database_url, settings.worker_name, log_id=store.log_id, on_changed=on_changed
            ),
            workflows=workflows,
        )
        told.append(orchestrator)
        watch = orchestrator.metrics.watch
        watch("holdfast_postgres_connections", "Open connections.", lambda: store.connections)
        watch("holdfast_redis_connections", "Open connections.", lambda: stream.connections)
        watch("holdfast_windows", "Windows in Redis.", lambda: windows.seen.number)
        watch("holdfast_window_bytes", "Memory of all windows.", lambda: windows.seen.bytes)
        for name, (text, read) in vitals(loop).items():
            watch(name, text, read)
        yield orchestrator


async def serve(
    settings: OrchestratorSettings,
    *,
    on_started: Callable[[], object],
    on_draining: Callable[[], object],
    link: Link | None = None,
) -> None:
    """Run a worker until SIGTERM or SIGINT; a second signal ends it at once. One of several has a `link`, which can
    do both as well and counts apart: who ends all processes of a service often signals each of them, too.

    `on_started()` is called when everything it needs was there, `on_draining()` when it is told to end.
    """
    async with AsyncExitStack() as stack:
        orchestrator = await stack.enter_async_context(open_orchestrator(settings))
        # Not before: importing the workflows takes its seconds.
        heap.settle()
        stack.enter_context(Watchdog(settings.watchdog_s))
        ops = None
        if settings.ops_port is not None and link is None:
            ops = OpsServer(
                settings.ops_host,
                settings.ops_port,
                live=lambda: orchestrator.live,
                ready=lambda: orchestrator.ready,
                metrics=orchestrator.metrics.text,
            )
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        is_draining = False

        def drain() -> None:
            nonlocal is_draining
            if not is_draining:
                is_draining = True
                on_draining()
                orchestrator.drain()

        def stop() -> None:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
                loop.add_signal_handler(number, task.cancel)
            drain()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        log.info(
            "worker.started",
            worker=settings.worker_name,
            workflows=sorted(orchestrator.workflows.loaded),
            broken=sorted(orchestrator.workflows.broken),
        )
        on_started()
        if link is not None:
            link.serve(
                metrics=orchestrator.metrics.text,
                drain=lambda: loop.call_soon_threadsafe(drain),
                leave=lambda: loop.call_soon_threadsafe(task.cancel),
            )
        try:
            await orchestrator.run()
        finally:
            if ops is not None:
                ops.close()
        log.info("worker.stopped", worker=settings.worker_name)


async def _check_durable(store: PostgresStore, settings: OrchestratorSettings) -> None:
    health = await store.health()
    if health.durable:
        return
    facts = ", ".join(f"{name}={value}" for name, value in sorted(health.details.items()))
    if not settings.unsafe_dev:
        raise NotDurable(
            f"Postgres may lose confirmed commits ({facts}); turn fsync, full_page_writes and synchronous_commit on,"
            " or set HOLDFAST_UNSAFE_DEV=1 to run without the promises"
        )
    log.warning("store.unsafe", **health.details)
