"""What a forked child tells its notebook: what it handed to the store and learned, what it owned, what it counted.

These lie inside of the failpoints: an append that the database confirmed is noted as confirmed, also if the worker is
never told.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from holdfast.events.errors import AppendRefused, StoreBusy
from tests.campaign.evidence import Notebook

Method = Callable[..., Awaitable[Any]]


def on_worker(notebook: Notebook) -> None:
    """Note a worker's appends, claims and counters."""
    from holdfast.orchestrator.lease import LeaseKeeper

    _appends(notebook)
    _claims(notebook)
    _counters(notebook)
    hold, drop = LeaseKeeper.hold, LeaseKeeper.drop

    def held(self: LeaseKeeper, session: int, epoch: int) -> None:
        hold(self, session, epoch)
        notebook.note("kept", s=session, e=epoch)

    def dropped(self: LeaseKeeper, session: int, epoch: int) -> bool:
        was_held = drop(self, session, epoch)
        if was_held:
            notebook.note("gone", s=session, e=epoch)
        return was_held

    LeaseKeeper.hold, LeaseKeeper.drop = held, dropped


def on_gateway(notebook: Notebook) -> None:
    """Note what a gateway repaired, and how its streams ended."""
    from holdfast.gateway.metrics import Metrics

    _counting(notebook, Metrics, "repaired", "gateway.repair.{0.value}")
    _counting(notebook, Metrics, "caught_behind", "gateway.head-check")
    _counting(notebook, Metrics, "ended", "gateway.ended.{0.value}")
    _counting(notebook, Metrics, "rewound", "gateway.rewound")
    _counting(notebook, Metrics, "unavailable", "gateway.{0}-away")


def deafen() -> None:
    """Lose every hint that there is work: the poll finds it, a second later. So work goes to who is to be hurt."""
    from holdfast.orchestrator.lookout import Lookout, WorkHints

    async def hear_nothing(self: Lookout, hints: WorkHints) -> None:
        await asyncio.Event().wait()

    Lookout.listen = hear_nothing


def _appends(notebook: Notebook) -> None:
    from holdfast.events.append_postgres import PostgresWriter
    from holdfast.verify.log import digest_of

    append, resolve = PostgresWriter.append, PostgresWriter.resolve
    number = 0

    async def noted(self: PostgresWriter, batches: Any) -> frozenset[int]:
        nonlocal number
        number += 1
        mine = number
        # Only what is in the log may be held against it: an append without an event has no place there.
        asked = [
            [b.session, b.epoch, b.expected_head, [digest_of(e.body).hex() for e in b.events]]
            for b in batches
        ]
        notebook.note("append", n=mine, b=asked)
        try:
            refused = await append(self, batches)
        except (AppendRefused, StoreBusy):
            notebook.note("rejected", n=mine)
            raise
        except BaseException:
            notebook.note("lost", n=mine)
            raise
        notebook.note("done", n=mine, refused=sorted(refused))
        return refused

    async def resolved(self: PostgresWriter, batches: Any) -> Any:
        outcomes = await resolve(self, batches)
        for outcome in outcomes.values():
            notebook.count(f"unknown.{outcome.value}")
        return outcomes

    PostgresWriter.append, PostgresWriter.resolve = noted, resolved


def _claims(notebook: Notebook) -> None:
    from holdfast.events import claims_postgres

    read: Method = claims_postgres._claims  # pyright: ignore[reportPrivateUsage]

    async def noted(connection: Any, rows: Any) -> Any:
        # The claim is committed; its owner is about to learn what there is to do.
        for row in rows:
            notebook.note(
                "own", s=row["id"], sid=row["session_id"], e=row["epoch"], over=row["taken_over"]
            )
            if row["taken_over"]:
                notebook.count("claim.takeover")
        return await read(connection, rows)

    claims_postgres._claims = noted  # pyright: ignore[reportPrivateUsage]


def _counters(notebook: Notebook) -> None:
    from holdfast.events.stream_redis import RedisStream
    from holdfast.orchestrator.executors.langgraph_saver import FencedSaver
    from holdfast.orchestrator.metrics import WorkerMetrics
    from holdfast.orchestrator.owner import Owner
    from holdfast.orchestrator.session_log import Fenced
    from holdfast.orchestrator.sweeper import Sweeper
    from holdfast.orchestrator.worker import Worker

    _counting(notebook, WorkerMetrics, "refused", "append.fenced")
    # A good publish is what happens all the time: not worth a line each.
    _counting(notebook, WorkerMetrics, "published", "publish.{0}", unless="publish.ok")
    _counting(notebook, WorkerMetrics, "publish_failed", "publish.failed")
    _counting(notebook, Worker, "lost", "lease.lost")
    _counting(notebook, Owner, "_give_up", "poison.stop")
    _counting(notebook, RedisStream, "rebase", "publish.rebase")
    _comes_up(notebook)
    sweep: Method = Sweeper.sweep

    async def swept(self: Sweeper) -> int:
        done = await sweep(self)
        if done:
            notebook.count("sweep.published", done)
        return done

    Sweeper.sweep = swept
    for method in ("aput", "aput_writes"):
        _refusals(notebook, FencedSaver, method, Fenced)


def _comes_up(notebook: Notebook) -> None:
    """Note the first announcement: signals are handled, work is looked for."""
    from holdfast.events.registry_postgres import PostgresRegistry

    announce: Method = PostgresRegistry.announce
    up = False

    async def noted(*args: Any, **kwargs: Any) -> None:
        nonlocal up
        await announce(*args, **kwargs)
        if not up:
            up = True
            notebook.note("up")

    PostgresRegistry.announce = noted


def _refusals(notebook: Notebook, owner: Any, method: str, fenced: type[Exception]) -> None:
    call: Method = getattr(owner, method)

    async def noted(*args: Any, **kwargs: Any) -> Any:
        try:
            return await call(*args, **kwargs)
        except fenced:
            notebook.count("checkpoint.fenced")
            raise

    setattr(owner, method, noted)


def _counting(notebook: Notebook, owner: Any, method: str, name: str, *, unless: str = "") -> None:
    """Count the calls of a method, waiting or not, before they are made; `name` is filled in with its arguments."""
    call: Callable[..., Any] = getattr(owner, method)

    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        if (found := name.format(*args)) != unless:
            notebook.count(found)
        return call(self, *args, **kwargs)

    setattr(owner, method, noted)
