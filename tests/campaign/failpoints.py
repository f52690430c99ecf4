"""The failpoints' places. Installed in a forked child only, by replacing methods; the product knows nothing of them.

Every class is patched whether or not anything is armed there, so that an armed and a spared process run the same code.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, NoReturn

from holdfast.events.errors import StoreUnavailable, StreamUnavailable
from holdfast.events.stream import News, Published, publish_each
from tests.campaign.evidence import Notebook
from tests.campaign.points import BY_NAME, Action, Away, Shot


class Failpoints:
    """The armed shots of this process."""

    def __init__(self, shots: Sequence[Shot], notebook: Notebook) -> None:
        self._shots = list(shots)
        self._passed: dict[str, int] = {}
        self._notebook = notebook

    async def hit(self, name: str) -> None:
        """Pass the point; what is armed there happens."""
        shot = self._due(name)
        if shot is not None:
            if shot.action == Action.DELAY:
                await asyncio.sleep(shot.seconds)
            else:
                self._act(shot)

    def pass_by(self, name: str) -> None:
        """Pass a point where nothing can wait."""
        shot = self._due(name)
        if shot is not None:
            self._act(shot)

    def due(self, name: str, action: str) -> bool:
        """Tell whether this very action is due; it is up to the caller then."""
        armed = next((s for s in self._shots if s.point == name and s.action == action), None)
        return armed is not None and self._due(name) is not None

    def _due(self, name: str) -> Shot | None:
        for shot in self._shots:
            if shot.point == name:
                key = str(shot)
                self._passed[key] = self._passed.get(key, 0) + 1
                if self._passed[key] == shot.at:
                    # Before it happens: after a kill there is nobody to write.
                    self._notebook.note("fired", shot=key)
                    return shot
        return None

    def _act(self, shot: Shot) -> None:
        if shot.action == Action.KILL:
            _die()
        away = BY_NAME[shot.point].away
        if away is Away.STREAM:
            raise StreamUnavailable(f"failpoint {shot}")
        if away is Away.STORE:
            raise StoreUnavailable(f"failpoint {shot}")
        raise ValueError(f"nothing can be raised at {shot}")


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    while True:  # the signal comes before the next instruction but one
        signal.pause()


Method = Callable[..., Awaitable[Any]]


def around(points: Failpoints, owner: Any, method: str, name: str) -> None:
    """Put `name.before` and `name.after` around an async method or function."""
    call: Method = getattr(owner, method)

    @wraps(call)
    async def patched(*args: Any, **kwargs: Any) -> Any:
        await points.hit(f"{name}.before")
        answer = await call(*args, **kwargs)
        await points.hit(f"{name}.after")
        return answer

    setattr(owner, method, patched)


def behind(points: Failpoints, owner: Any, method: str, name: str) -> None:
    """Put one point behind an async method."""
    call: Method = getattr(owner, method)

    @wraps(call)
    async def patched(*args: Any, **kwargs: Any) -> Any:
        answer = await call(*args, **kwargs)
        await points.hit(name)
        return answer

    setattr(owner, method, patched)


def passing(points: Failpoints, owner: Any, method: str, name: str) -> None:
    """Put one point in front of a method that doesn't wait."""
    call: Callable[..., Any] = getattr(owner, method)

    @wraps(call)
    def patched(*args: Any, **kwargs: Any) -> Any:
        points.pass_by(name)
        return call(*args, **kwargs)

    setattr(owner, method, patched)


def on_store(points: Failpoints) -> None:
    """Patch what workers and gateways share: reading the log and the windows."""
    from holdfast.events.read_postgres import PostgresReader
    from holdfast.events.stream_redis import RedisStream

    around(points, PostgresReader, "read", "read")
    around(points, RedisStream, "read", "window-read")


def inside(points: Failpoints) -> None:
    """Patch what lies inside of the notebook: a claim that is committed is noted before its owner dies of it."""
    from holdfast.events import claims_postgres

    read: Method = claims_postgres._claims  # pyright: ignore[reportPrivateUsage]

    async def patched(*args: Any) -> Any:
        await points.hit("claim.committed")
        return await read(*args)

    claims_postgres._claims = patched  # pyright: ignore[reportPrivateUsage]


def on_worker(points: Failpoints) -> None:
    """Patch a worker's whole write path; `inside` comes first."""
    from holdfast.events import append_postgres
    from holdfast.events.append_postgres import PostgresWriter
    from holdfast.events.claims_postgres import PostgresClaims
    from holdfast.events.registry_postgres import PostgresRegistry
    from holdfast.orchestrator.docket import Docket
    from holdfast.orchestrator.publishing import StreamPublisher
    from holdfast.orchestrator.recorder import Recorder
    from holdfast.orchestrator.running import Attempt
    from holdfast.orchestrator.scribe import Scribe
    from holdfast.orchestrator.worker import Worker

    on_store(points)
    _append_in_a_transaction(points, append_postgres)
    around(points, PostgresWriter, "append", "append")
    around(points, PostgresWriter, "resolve", "resolve")
    for method in (
        "claim",
        "renew",
        "release",
        "let_go",
        "look",
        "journal",
        "strike",
        "pending",
        "open_runs",
        "mark_published",
        "unpublished",
        "expire_due",
    ):
        around(points, PostgresClaims, method, method.replace("_", "-"))
    around(points, PostgresRegistry, "announce", "announce")
    around(points, PostgresRegistry, "withdraw", "withdraw")
    _publish(points)
    _checkpoints(points)
    around(points, Docket, "settle", "settle")
    around(points, Scribe, "durable", "durable")
    around(points, Attempt, "_begin", "begin")
    around(points, Attempt, "_end", "end")
    # Committed, and nobody in this process knows it yet; told of, and not yet on its way to the stream; claimed, and
    # nobody has begun.
    passing(points, Recorder, "_settle", "recorded.now")
    passing(points, StreamPublisher, "committed", "announced.now")
    passing(points, Worker, "_own", "owned.now")


def on_gateway(points: Failpoints) -> None:
    """Patch what a gateway writes, and what it reads."""
    from holdfast.events import desk_postgres
    from holdfast.events.desk_postgres import PostgresDesk
    from holdfast.events.stream_redis import RedisStream

    on_store(points)
    around(points, PostgresDesk, "start", "desk-start")
    around(points, PostgresDesk, "cancel", "desk-cancel")
    around(points, RedisStream, "hint_work", "hint")
    _ask_in_a_transaction(points, desk_postgres)


def _ask_in_a_transaction(points: Failpoints, module: Any) -> None:
    """Open the one statement of `start` up: the rows are written, nothing is committed."""
    call: Method = module.ask_run

    async def patched(connection: Any, *args: Any) -> Any:
        async with connection.transaction():
            ticket = await call(connection, *args)
            await points.hit("desk.uncommitted")
            return ticket

    module.ask_run = patched


def _append_in_a_transaction(points: Failpoints, module: Any) -> None:
    """Open the append's one statement up: what commits by itself gets a COMMIT of its own, to stop in front of."""
    call: Method = module._append

    async def patched(connection: Any, batches: Any) -> Any:
        async with connection.transaction():
            taken = await call(connection, batches)
            await points.hit("append.uncommitted")
            return taken

    module._append = patched


def _publish(points: Failpoints) -> None:
    from holdfast.events.stream_redis import RedisStream

    around(points, RedisStream, "publish", "publish")
    around(points, RedisStream, "rebase", "rebase")
    publish: Method = RedisStream.publish

    async def patched(self: RedisStream, session: int, *args: Any, **kwargs: Any) -> Published:
        if points.due("publish.before", "gap"):
            # A window that was evicted or flushed: the real script will find the gap.
            await self.drop(session)
        return await publish(self, session, *args, **kwargs)

    async def patched_all(self: RedisStream, news: Sequence[News]) -> Any:
        # Each by itself, so that what is to happen to a publish happens to one of a flush, too.
        return await publish_each(self, news)

    RedisStream.publish = patched
    RedisStream.publish_all = patched_all


def _checkpoints(points: Failpoints) -> None:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

    from holdfast.orchestrator.executors.langgraph_saver import FencedSaver

    # The ordinary saver's call is inside of the fence's transaction.
    behind(points, AsyncPostgresSaver, "aput", "checkpoint.uncommitted")
    behind(points, AsyncPostgresSaver, "aput_writes", "checkpoint-writes.uncommitted")
    around(points, FencedSaver, "aput", "checkpoint")
    around(points, FencedSaver, "aput_writes", "checkpoint-writes")
    around(points, FencedSaver, "aget_tuple", "checkpoint-read")
