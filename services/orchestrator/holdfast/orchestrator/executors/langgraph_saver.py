"""LangGraph's Postgres checkpointer behind our fence.

A checkpoint is written only in a transaction that holds the session's row at the writer's epoch, so a worker that
lost its session can't move the graph's state any more. And whoever asks is told when a task's writes are on disk:
only then may its step be called completed.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection, Error, InterfaceError, OperationalError
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from holdfast.events.erasure_postgres import CHECKPOINT_SCHEMA
from holdfast.events.errors import StoreUnavailable
from holdfast.events.pool_postgres import IDLE_IN_TRANSACTION_TIMEOUT_S
from holdfast.orchestrator.executors.langgraph_brake import hop
from holdfast.orchestrator.session_log import Fenced

# Two connections a worker: checkpoints are a few a second and graph, some milliseconds each.
CHECKPOINT_CONNECTIONS = 2

# A task that is saved but not recorded is of the last superstep or the one before, in each subgraph: this is many.
WRITES_LOOK_BACK = 20

# What LangGraph writes for a task that is to be done over; everything else says that it is done.
UNFINISHED = frozenset({"__interrupt__", "__error__", "__error_source_node__", "__resume__"})
_ERROR = "__error__"

# The letters of "lggr": one process at a time sets the tables up.
_SETUP_LOCK = 0x6C676772
# Setting up takes under a second; a process that takes this long hangs, and what it locks is free when it dies.
SETUP_TIMEOUT_S = 30.0
SETUP_RETRY_S = 0.1

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]


@asynccontextmanager
async def checkpoint_pool(database_url: str) -> AsyncGenerator[Pool, None]:
    """Connect to the checkpoints of this database, made ready if need be. Raises StoreUnavailable."""
    pool: Pool = AsyncConnectionPool(
        database_url,
        min_size=0,
        max_size=CHECKPOINT_CONNECTIONS,
        open=False,
        timeout=10,
        reset=_returned,
        kwargs={
            "autocommit": True,
            "prepare_threshold": 0,
            "row_factory": dict_row,
            # A process that is stopped in the middle of a checkpoint holds its session's row, and keeps it from being
            # taken over: it is thrown out before a lease of the shipped length is over.
            "options": f"-c search_path={CHECKPOINT_SCHEMA},public -c lock_timeout=2s"
            f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_S:.0f}s",
        },
    )
    async with pool:
        try:
            async with pool.connection() as connection:
                async with asyncio.timeout(SETUP_TIMEOUT_S):
                    await _set_up(connection)
        except (Error, PoolTimeout, OSError) as error:
            raise StoreUnavailable(f"Postgres: {error}") from error
        yield pool


async def _returned(_: AsyncConnection[DictRow]) -> None:
    """Do nothing to a connection that comes back. That there is something to be done is what counts.

    The pool takes connections back in a task of its own then. Without, whoever gives one back does it, and a second
    cancel in that moment (a graph that is cancelled passes several on) loses the connection to everybody: after two of
    them no graph of this worker would get one again.
    """


async def _set_up(connection: AsyncConnection[DictRow]) -> None:
    # Tried again and again, never waited for: setting up builds indexes concurrently, which waits for the end of every
    # statement in the database, so that one which waits for this lock would be a deadlock.
    while True:
        tried = await connection.execute("select pg_try_advisory_lock(%s) as ours", (_SETUP_LOCK,))
        row = await tried.fetchone()
        if row is not None and row["ours"]:
            break
        await asyncio.sleep(SETUP_RETRY_S)
    try:
        await connection.execute(f"create schema if not exists {CHECKPOINT_SCHEMA}")
        await AsyncPostgresSaver(connection).setup()
    finally:
        await connection.execute("select pg_advisory_unlock(%s)", (_SETUP_LOCK,))


class FencedSaver(BaseCheckpointSaver[str]):
    """One attempt's checkpointer: reads like the ordinary one, writes only while the attempt owns its session."""

    def __init__(
        self,
        pool: Pool,
        *,
        session: int,
        epoch: int,
        over: Callable[[], bool],
        on_writes: Callable[[str], Awaitable[None]],
        on_checkpoint: Callable[[str, str], Awaitable[None]],
    ) -> None:
        """`over()` tells whether the attempt has ended: a graph that was abandoned may go on, but saves nothing.

        `on_writes(task_id)` and `on_checkpoint(id, namespace)` are awaited when those are on disk.
        """
        super().__init__()
        self._pool, self._session, self._epoch = pool, session, epoch
        self._over = over
        self._on_writes, self._on_checkpoint = on_writes, on_checkpoint
        self._writing: set[asyncio.Future[None]] = set()
        self._putting: dict[str, set[asyncio.Future[None]]] = {}  # by namespace
        self._unwritten: Exception | None = None  # why something that a task wrote is not on disk
        self._reader = AsyncPostgresSaver(pool)  # pyright: ignore[reportArgumentType]

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Return the version after `current`, in the ordinary checkpointer's form."""
        return self._reader.get_next_version(current, channel)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that `config` names, or the thread's last."""
        with reachable():
            return await self._reader.aget_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first."""
        found = self._reader.alist(config, filter=filter, before=before, limit=limit)
        with reachable():
            async for item in found:
                yield item

    async def writes(
        self, config: RunnableConfig, task_ids: Sequence[str]
    ) -> dict[str, list[tuple[str, Any]]]:
        """Return what those of these tasks wrote that have saved it, in the given order."""
        wanted = set(task_ids)
        found: dict[str, list[tuple[str, Any]]] = {}
        if not wanted:
            return {}
        async for kept in self.alist(config, limit=WRITES_LOOK_BACK):
            for task_id, channel, value in kept.pending_writes or ():
                if task_id in wanted:
                    found.setdefault(task_id, []).append((channel, value))
            if len(found) == len(wanted):
                break
        return {task_id: found[task_id] for task_id in task_ids if task_id in found}

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint. Raises Fenced when the attempt is over or the session has another owner.

        LangGraph saves what tasks wrote in the background and doesn't wait for it. A checkpoint that was there first
        would hide it: whoever takes over would go on behind tasks whose messages nobody told, and find none of them.
        """
        namespace: str = config.get("configurable", {}).get("checkpoint_ns", "")
        put = asyncio.get_running_loop().create_future()
        putting = self._putting.setdefault(namespace, set())
        putting.add(put)
        try:
            while self._writing:
                await asyncio.wait(self._writing)
            if self._unwritten is not None:
                raise self._unwritten
            async with self._fenced() as saver:
                saved = await saver.aput(config, checkpoint, metadata, new_versions)
            await self._on_checkpoint(checkpoint["id"], namespace)
        finally:
            putting.discard(put)
            put.set_result(None)
        return saved

    async def settled(self, namespace: str) -> None:
        """Wait until no checkpoint of this namespace is on its way, whatever becomes of it."""
        await hop()  # what was submitted a moment ago begins
        while putting := self._putting.get(namespace):
            await asyncio.wait(putting)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Save what a task wrote. Raises Fenced when the attempt is over or the session has another owner.

        To what a task had written that was cancelled while it waited for its reader, LangGraph adds an error, and would
        take it for done when it goes on. It isn't: what it said is not on disk.
        """
        if any(channel == _ERROR for channel, _ in writes):
            writes = [one for one in writes if one[0] in UNFINISHED]
        written = asyncio.get_running_loop().create_future()
        self._writing.add(written)
        try:
            async with self._fenced() as saver:
                await saver.aput_writes(config, writes, task_id, task_path)
        except BaseException as error:
            lost = Fenced(f"what task {task_id} wrote was not saved")
            self._unwritten = error if isinstance(error, Exception) else lost
            raise
        finally:
            self._writing.discard(written)
            written.set_result(None)
        await self._on_writes(task_id)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete everything of a thread. Raises Fenced when the session has another owner."""
        async with self._fenced() as saver:
            await saver.adelete_thread(thread_id)

    @asynccontextmanager
    async def _fenced(self) -> AsyncGenerator[AsyncPostgresSaver, None]:
        with reachable():
            async with self._pool.connection() as connection, connection.transaction():
                # The share lock waits for a claim under way and keeps the next one out until
                # this checkpoint is committed; readers and other savers are not in its way.
                found = await connection.execute(
                    "select from sessions where id = %s and epoch = %s for share",
                    (self._session, self._epoch),
                )
                if found.rowcount == 0:
                    raise Fenced(f"session {self._session} has another owner")
                # The last look before the write: whoever goes on with the session does so after this attempt's end.
                if self._over():
                    raise Fenced(f"this attempt in session {self._session} is over")
                yield AsyncPostgresSaver(connection)


@contextmanager
def reachable() -> Generator[None]:
    """Tell a Postgres that is away, which passes, from a checkpoint that can't be saved, which doesn't."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
        raise StoreUnavailable(f"Postgres: {error}") from error
