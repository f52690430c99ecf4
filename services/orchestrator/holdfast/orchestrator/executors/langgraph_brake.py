"""Keeps a graph from running ahead of its stream.

LangGraph puts what happens into a queue and goes on. Left alone, a node may be saved before anybody has read what a
graph inside of it said, and whoever takes over finds a node that is done and nothing of its story. So every task
waits twice until all that it and its like put into the queue is on disk: before its code is called, for its start, and
when its code has returned, before what it wrote is saved.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler

from holdfast.orchestrator.session_log import Fenced

# What LangGraph tags the run of a node's task with; what runs inside the task has other tags.
_NODE_TAG = "graph:step:"

# A chunk wakes its reader over five callbacks of the loop (the queue's waiter, its task, the wait for several tasks,
# the stream, a stream writer's own). A few more cost nothing.
HOPS = 8


def is_task(name: str | None, tags: list[str] | None, metadata: dict[str, Any] | None) -> bool:
    """Tell the run of a task from whatever runs inside of it.

    A task of the functional API is known by its name alone; so is whatever bears the same one inside of it.
    """
    named = name is not None and name == (metadata or {}).get("langgraph_node")
    return named or any(tag.startswith(_NODE_TAG) for tag in tags or ())


def task_of(metadata: dict[str, Any] | None) -> str:
    """Return the id of the task in which something runs."""
    return str((metadata or {}).get("langgraph_checkpoint_ns", "")).rpartition(":")[2]


async def hop() -> None:
    """Let what is in the queue wake its reader, and what was submitted begin."""
    for _ in range(HOPS):
        await asyncio.sleep(0)


class Brake(AsyncCallbackHandler):
    """Holds each task until the reader of the stream has caught up."""

    # A task whose start can't be recorded must not begin.
    raise_error = True

    def __init__(self, durable: Callable[[], Awaitable[None]]) -> None:
        """`durable()` waits until everything that the reader recorded is on disk."""
        self._durable = durable
        self._idle, self._over = asyncio.Event(), asyncio.Event()
        self._tasks: set[UUID] = set()

    @property
    def over(self) -> bool:
        """Whether nobody reads the stream any more. What tasks write from then on must not be saved.

        LangGraph saves what a cancelled task had written, as if it were done; what it said may not be on disk.
        """
        return self._over.is_set()

    async def read(self, stream: AsyncGenerator[dict[str, Any]]) -> AsyncGenerator[dict[str, Any]]:
        """Yield the stream's chunks; a chunk is read when the next one is asked for."""
        async with aclosing(stream) as chunks:
            try:
                self._idle.set()
                async for chunk in chunks:
                    self._idle.clear()
                    yield chunk
                    self._idle.set()
            finally:
                # LangGraph is about to cancel its tasks, and waits for what some of them shield.
                self._over.set()

    async def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A task is about to begin: its start comes first."""
        if is_task(kwargs.get("name"), tags, metadata):
            self._tasks.add(run_id)
            await self._caught_up()

    async def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A task's code has returned: what it said comes before what it wrote."""
        if run_id in self._tasks:
            self._tasks.discard(run_id)
            await self._caught_up()

    async def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A task failed: it has written nothing."""
        self._tasks.discard(run_id)

    async def _caught_up(self) -> None:
        """Wait until what was in the queue at the call has been read and is on disk; end with the stream.

        While this waits the reader is never behind for good: it reads on as long as a task runs, and this is called
        in a running task.
        """
        # The reader takes all that is there without letting anybody run in between. So whoever finds it waiting finds
        # the queue empty, but for what came since it began to wait and is still on its way to wake it.
        await hop()
        caught_up = asyncio.ensure_future(self._read_and_durable())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait([caught_up, over], return_when=asyncio.FIRST_COMPLETED)
            if not caught_up.done():
                raise asyncio.CancelledError("nobody reads the stream any more")
            caught_up.result()
        finally:
            caught_up.cancel()
            over.cancel()

    async def _read_and_durable(self) -> None:
        while not self._idle.is_set():
            # Looked at again: it wakes whoever waits, and by then the next chunk may have been taken.
            await self._idle.wait()
        try:
            await self._durable()
        except Fenced:
            # The attempt is being stopped; its end is what `_caught_up` waits for, and nothing else.
            await asyncio.Event().wait()
