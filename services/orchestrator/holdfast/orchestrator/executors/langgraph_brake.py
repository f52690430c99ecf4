"""Keeps a graph from running ahead of its story.

LangGraph says what happens and goes on. Left alone, a node may be saved before anybody has recorded what a graph inside
of it said, and whoever takes over finds a node that is done and nothing of its story. So every task waits twice until
all that it and its like said is on disk: before its code is called, for its start, and when its code has returned,
before what it wrote is saved.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler

from holdfast.orchestrator.executors.langgraph_tap import Tap
from holdfast.orchestrator.session_log import Fenced

# What LangGraph tags the run of a node's task with; what runs inside the task has other tags.
_NODE_TAG = "graph:step:"

# What LangGraph submits begins after some three callbacks of the loop. A few more cost nothing.
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
    """Let what was submitted begin."""
    for _ in range(HOPS):
        await asyncio.sleep(0)


class TaskHandler(AsyncCallbackHandler):
    """A handler that is told of tasks and of nothing that happens inside of them.

    Inline, one after the other: side by side each would be a task of the loop, for every token of a model.
    """

    run_inline = True

    @property
    def ignore_llm(self) -> bool:
        """Not told of completions, nor of their tokens."""
        return True

    @property
    def ignore_chat_model(self) -> bool:
        """Not told of chat models."""
        return True

    @property
    def ignore_agent(self) -> bool:
        """Not told of tools."""
        return True

    @property
    def ignore_retriever(self) -> bool:
        """Not told of retrievers."""
        return True


class Brake(TaskHandler):
    """Holds each task until what the graph said is on disk. It must be told after the tap: a result says things too."""

    # A task whose start can't be recorded must not begin.
    raise_error = True

    def __init__(self, tap: Tap, durable: Callable[[], Awaitable[None]]) -> None:
        """`durable()` waits until everything that was recorded is on disk."""
        self._tap, self._durable = tap, durable
        self._tasks: set[UUID] = set()

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
        """Wait until what was said before the call has been taken and is on disk; end with the listening."""
        caught_up = asyncio.ensure_future(self._taken_and_durable())
        over = asyncio.ensure_future(self._tap.until_over())
        try:
            await asyncio.wait([caught_up, over], return_when=asyncio.FIRST_COMPLETED)
            if not caught_up.done() or self._tap.over:
                raise asyncio.CancelledError("nobody listens any more")
            caught_up.result()
        finally:
            caught_up.cancel()
            over.cancel()

    async def _taken_and_durable(self) -> None:
        await self._tap.caught_up()
        try:
            await self._durable()
        except Fenced:
            # The attempt is being stopped; its end is what `_caught_up` waits for, and nothing else.
            await asyncio.Event().wait()
