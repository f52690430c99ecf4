"""Where a gateway is put together: the only module that knows which store and which stream there are."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import structlog
from fastapi import FastAPI

from holdfast.events.clock import Clock, SystemClock
from holdfast.events.errors import StoreError
from holdfast.events.log_check_postgres import OnChanged
from holdfast.events.pool_postgres import GATEWAY_CONNECTIONS, GATEWAY_RESERVED, reached
from holdfast.events.store import Store
from holdfast.events.store_postgres import PostgresStore, open_store
from holdfast.events.stream import Publisher, Wakes, Window
from holdfast.events.stream_redis import RedisStream
from holdfast.events.watchdog import vitals
from holdfast.gateway.admission import Admission
from holdfast.gateway.console.files import Files
from holdfast.gateway.cors import Cors
from holdfast.gateway.edge import Edge
from holdfast.gateway.express import Express
from holdfast.gateway.folding import Folding
from holdfast.gateway.gateway import (
    CONNECT_PATIENCE_S,
    CONNECTS_MAX,
    FOLD_PATIENCE_S,
    FOLDS_MAX,
    FOLDS_WAITING_MAX,
    Gateway,
)
from holdfast.gateway.handover import Handover
from holdfast.gateway.hosts import Hosts, answered_to
from holdfast.gateway.hub import Hub
from holdfast.gateway.limits import Limits
from holdfast.gateway.metrics import Metrics
from holdfast.gateway.openapi import install_openapi
from holdfast.gateway.options import HubOptions
from holdfast.gateway.principal import principal
from holdfast.gateway.probe import Probe
from holdfast.gateway.problems import install_problems
from holdfast.gateway.routes import events, operations, replay, runs, sessions, state, streams
from holdfast.gateway.routes import workflows as workflow_routes
from holdfast.gateway.routes.console import console_router
from holdfast.gateway.seats import Seats
from holdfast.gateway.settings import Settings
from holdfast.gateway.shortcut import Shortcut
from holdfast.gateway.together import PATIENT_TURNS, Together
from holdfast.gateway.turnstile import Turnstile
from holdfast.gateway.workflows import Workflows

log = structlog.get_logger("holdfast.gateway")


@dataclass(frozen=True, slots=True)
class Backends:
    """What a gateway stands on: the log, and the three sides of the stream that it uses."""

    store: Store
    publisher: Publisher
    window: Window
    wakes: Wakes
    # Open connections, by what they go to.
    connections: Mapping[str, Callable[[], int]] = field(
        default_factory=dict[str, Callable[[], int]]
    )


OpenBackends = Callable[[], AbstractAsyncContextManager[Backends]]


def create_app(settings: Settings) -> FastAPI:
    """Return a gateway over Postgres and Redis, which it opens when it starts and closes when it ends."""
    return build(settings, lambda: open_backends(settings))


def build(
    settings: Settings,
    backends: OpenBackends,
    *,
    clock: Clock | None = None,
    chance: random.Random | None = None,
) -> FastAPI:
    """Return a gateway over any backends; tests pass the in-memory twins, a clock and a seed."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with backends() as opened:
            gateway = _gateway(
                settings, opened, metrics, clock or SystemClock(), chance or random.Random()
            )
            app.state.gateway = gateway
            _watch(metrics, opened, gateway)
            async with gateway.hub:
                yield
                gateway.draining = True
            gateway.probe.close()

    app = FastAPI(
        title="Holdfast gateway",
        version="1",
        description="Sessions, runs and their events; every stream resumes from the id of its last event.",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from another host
        redoc_url=None,
        redirect_slashes=False,  # a redirect is an answer that no client here expects
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for module in (sessions, runs, streams, events, replay, state, workflow_routes, operations):
        app.include_router(module.router)
    if settings.console:
        app.include_router(console_router(Files()))
    install_problems(app)
    install_openapi(app)
    # The last one added is the outermost.
    app.add_middleware(
        Shortcut, gateway=lambda: app.state.gateway, overrides=app.dependency_overrides
    )
    app.add_middleware(Admission, gateway=lambda: app.state.gateway)
    app.add_middleware(Handover)
    app.add_middleware(Limits)
    app.add_middleware(Cors, origins=settings.cors_origins)
    app.add_middleware(Hosts, names=answered_to(settings))
    app.add_middleware(Edge, seen=metrics.responded, draining=lambda: app.state.gateway.draining)
    layers = len(app.user_middleware)
    app.state.express = Express(
        lambda: app.state.gateway,
        seen=metrics.responded,
        origins=settings.cors_origins,
        names=answered_to(settings),
        # Somebody's own layer, or own principal, wants to see every request.
        is_ours=lambda: (
            len(app.user_middleware) == layers and principal not in app.dependency_overrides
        ),
    )
    return app


@asynccontextmanager
async def open_backends(
    settings: Settings, *, on_changed: OnChanged | None = None
) -> AsyncGenerator[Backends]:
    """Open Postgres and Redis. Raises StoreError when the log can't be had or isn't safe.

    `on_changed` is called when the database turns out to be another log: nothing more is to be had from it then.
    """
    async with AsyncExitStack() as stack:
        store = await _open_store(settings, on_changed)
        stack.push_async_callback(store.close)
        await _check_durable(store, settings)
        # Opening this connects to nothing: a gateway without Redis starts, and serves a second late.
        stream = RedisStream.open(settings.redis_url.get_secret_value(), log_id=store.log_id)
        stack.push_async_callback(stream.close)
        connections = {"postgres": lambda: store.connections, "redis": lambda: stream.connections}
        yield Backends(store, stream, stream, stream.wakes(), connections)


async def _open_store(settings: Settings, on_changed: OnChanged | None) -> PostgresStore:
    return await reached(
        lambda: open_store(
            settings.database_url.get_secret_value(),
            pool_max=GATEWAY_CONNECTIONS,
            reserved=GATEWAY_RESERVED,
            application_name="holdfast-gateway",
            on_changed=on_changed,
        )
    )


async def _check_durable(store: Store, settings: Settings) -> None:
    health = await store.health()
    if not health.durable and not settings.unsafe_dev:
        raise StoreError(
            "Postgres may lose what it confirmed (fsync, full_page_writes or synchronous_commit is off);"
            " switch it on, or set HOLDFAST_UNSAFE_DEV=1 where nothing matters"
        )


def _watch(metrics: Metrics, backends: Backends, gateway: Gateway) -> None:
    for name, (text, read) in vitals(asyncio.get_running_loop()).items():
        metrics.watch(name, text, read)
    for what, count in backends.connections.items():
        metrics.watch(f"holdfast_{what}_connections", f"Open connections to {what}.", count)
    admission = gateway.admission
    metrics.watch(
        "holdfast_sse_waiting", "Stream requests in line.", lambda: float(admission.waiting)
    )
    metrics.watch(
        "holdfast_sse_connecting", "Stream requests being worked.", lambda: float(admission.inside)
    )


def _gateway(
    settings: Settings, backends: Backends, metrics: Metrics, clock: Clock, chance: random.Random
) -> Gateway:
    hub = Hub(
        reader=backends.store.reader,
        window=backends.window,
        wakes=backends.wakes,
        clock=clock,
        chance=chance,
        options=HubOptions(
            heartbeat_s=settings.heartbeat_s,
            send_deadline_s=settings.send_deadline_s,
            drain_s=settings.drain_s,
        ),
        observer=metrics,
    )
    return Gateway(
        settings=settings,
        store=backends.store,
        publisher=backends.publisher,
        wakes=backends.wakes,
        hub=hub,
        workflows=Workflows(backends.store.registry, clock),
        metrics=metrics,
        probe=Probe(backends.store),
        clock=clock,
        chance=chance,
        seats=Seats(
            process_max=settings.streams_max,
            address_max=settings.streams_per_address_max,
            principal_max=settings.streams_per_principal_max,
            session_max=settings.streams_per_session_max,
        ),
        admission=Turnstile(
            clock,
            hub.spawn,
            inside_max=CONNECTS_MAX,
            # Who waits is to be a stream: more than there may be needn't come.
            waiting_max=settings.streams_max,
            patience_s=CONNECT_PATIENCE_S,
        ),
        folds=Turnstile(
            clock,
            hub.spawn,
            inside_max=FOLDS_MAX,
            waiting_max=FOLDS_WAITING_MAX,
            patience_s=FOLD_PATIENCE_S,
        ),
        folding=Folding(backends.store.reader, backends.store.snapshots, hub.spawn),
        locating=Together(
            lambda names: backends.store.desk.locate(names),
            hub.spawn,
            patient_turns=PATIENT_TURNS,
        ),
    )
