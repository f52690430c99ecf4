"""Builds a subscriber process and runs it: the only module here that chooses adapters."""

import asyncio
import os
import random
import signal
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from holdfast.events.clock import Clock, SystemClock
from holdfast.events.errors import HoldfastError
from holdfast.events.log_check_postgres import LogCheck
from holdfast.events.ops import OpsServer
from holdfast.events.pool_postgres import SUBSCRIBER_CONNECTIONS, acquired, open_pool, reached
from holdfast.events.watchdog import Watchdog
from holdfast.subscribe.consumer import Consumer, ConsumerOptions, Observer
from holdfast.subscribe.declared import Declared
from holdfast.subscribe.metrics import SubscriberMetrics
from holdfast.subscribe.projection import Projector
from holdfast.subscribe.settings import SubscriberSettings
from holdfast.subscribe.store import Subscriptions
from holdfast.subscribe.store_postgres import PostgresSubscriptions

# Subscriptions take turns with these: a page is read in 2 ms, and handling it needs none. Each projection being
# written holds one.
CONNECTIONS = SUBSCRIBER_CONNECTIONS

# A handler that heeds no cancellation, or a thread that it blocks, would keep a process for ever: over this time what
# was cut off may clean up.
LEAVE_S = 5.0

_CUT_OFF = 1

log = structlog.get_logger("holdfast.subscribe")


class NothingDeclared(HoldfastError):
    """No module declares anything durable; a process that does nothing would look like one that works."""


class Host:
    """Every declared subscription and projection, each run by itself."""

    def __init__(
        self,
        declared: Declared,
        subscriptions: Subscriptions,
        *,
        options: ConsumerOptions,
        observer: Observer,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        clock, chance = clock or SystemClock(), chance or random.Random()
        self._runs: list[Consumer | Projector] = [
            *(
                Consumer(
                    one,
                    subscriptions,
                    options=options,
                    observer=observer,
                    clock=clock,
                    chance=chance,
                )
                for one in declared.subscriptions.values()
            ),
            *(
                Projector(
                    one,
                    subscriptions,
                    options=options,
                    observer=observer,
                    clock=clock,
                    chance=chance,
                )
                for one in declared.projections.values()
            ),
        ]
        self._stopping = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Begin nothing more, finish what is under way, give every subscription back."""
        self._stopping.set()
        for run in self._runs:
            run.stop()

    async def run(self, *, drain_s: float) -> None:
        """Run until stopped, and then at most `drain_s` longer."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run.run()) for run in self._runs]
            await self._stopping.wait()
            _, late = await asyncio.wait(tasks, timeout=drain_s)
            if late:
                # What they handle is handled again, by whoever takes it over when the lease is over.
                log.warning("subscription.cut", count=len(late))
            for task in late:
                task.cancel()


async def serve(settings: SubscriberSettings, *, on_started: Callable[[], object]) -> None:
    """Run every declared subscription until SIGTERM or SIGINT; a second signal ends it at once.

    Raises NothingDeclared, StoreUnavailable or MigrationError.
    """
    declared = Declared()
    declared.load(settings.subscribers)
    declared.load_plugins()
    if not declared.names:
        broken = "; ".join(f"{word}: {why}" for word, why in declared.broken.items())
        raise NothingDeclared(
            f"nothing durable is declared by {', '.join(settings.subscribers) or 'installed packages'}"
            + (f" ({broken})" if broken else "")
        )
    async with AsyncExitStack() as stack:
        pool = await open_pool(
            settings.database_url.get_secret_value(),
            application_name=f"holdfast-subscriber {settings.subscriber_name}"[:63],
            pool_max=CONNECTIONS,
            check=LogCheck(),
            lends_out=True,  # to projections
        )
        stack.push_async_callback(pool.close)

        async def look() -> None:
            async with acquired(pool):
                pass  # the log is there, and its schema is one that this version can work with

        await reached(look)
        metrics = SubscriberMetrics()
        host = Host(
            declared,
            PostgresSubscriptions(pool),
            options=ConsumerOptions(
                owner=settings.subscriber_name, lease_s=settings.lease_s, poll_s=settings.poll_s
            ),
            observer=metrics,
        )
        stack.enter_context(Watchdog(settings.watchdog_s))
        if settings.ops_port is not None:
            ops = OpsServer(
                settings.ops_host,
                settings.ops_port,
                live=lambda: True,
                ready=lambda: not host.stopping,
                metrics=metrics.text,
            )
            stack.callback(ops.close)
        _obey_signals(host, settings.drain_s)
        log.info(
            "subscriber.started",
            subscriptions=declared.names,
            broken=sorted(declared.broken),
        )
        on_started()
        await host.run(drain_s=settings.drain_s)
        log.info("subscriber.stopped")


def leave_after(seconds: float, code: int) -> None:
    """End this process then, if it still lives."""
    leave = threading.Timer(seconds, os._exit, [code])
    leave.daemon = True
    leave.start()


def _obey_signals(host: Host, drain_s: float) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            loop.add_signal_handler(number, task.cancel)
        log.info("subscriber.draining")
        # From here on: a handler that heeds no cancellation keeps `host.run` from returning.
        leave_after(drain_s + LEAVE_S, _CUT_OFF)
        host.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
