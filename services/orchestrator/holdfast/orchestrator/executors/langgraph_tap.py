"""What a graph says, in the order in which it says it: its tasks, its messages, what its nodes write to its stream.

LangGraph's own reader, `astream` with three modes, is woken for every piece over a queue, a task and some callbacks of
the loop: 60 µs a token, with the handlers that have to wait for one another beside it. The tap stands where an outer
graph would, and is handed everything at once. That place is LangGraph's own and not documented; the version is bounded
for it, and without it no test of a graph would pass.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from threading import get_ident
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from langgraph.pregel._messages import StreamMessagesHandler
from langgraph.pregel.protocol import StreamProtocol
from langgraph.runtime import Runtime

# Where LangGraph keeps what an outer graph hands to its inner ones, in a config's `configurable`.
_STREAM, _RUNTIME = "__pregel_stream", "__pregel_runtime"

# What an inner graph tells. (Messages come over callbacks, but a remote graph is asked for them.)
_MODES = {"tasks", "messages", "custom"}

Chunk = tuple[tuple[str, ...], str, Any]
"""The namespace of the graph that says it, of what mode it is, and what is said."""


class Tap:
    """Hears one attempt at a graph."""

    def __init__(self) -> None:
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        # The oldest is being taken: it leaves when it has been.
        self._heard: deque[Chunk] = deque()
        self._taken = 0
        self._news: asyncio.Future[None] | None = None
        # Who waits until so many have been taken.
        self._behind: list[tuple[int, asyncio.Future[None]]] = []
        self._over = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether nobody listens any more. What tasks write from then on must not be saved.

        LangGraph saves what a cancelled task had written, as if it were done; what it said may not be on disk.
        """
        return self._over.is_set()

    def config(self, config: RunnableConfig, *callbacks: BaseCallbackHandler) -> RunnableConfig:
        """Return the config with which a graph is heard; it tells these callbacks after the tap."""
        runtime: Runtime[Any] = Runtime(
            stream_writer=lambda value: self.hear(((), "custom", value))
        )
        place = {_STREAM: StreamProtocol(self.hear, set[Any](_MODES)), _RUNTIME: runtime}
        return {
            **config,
            "callbacks": [StreamMessagesHandler(self.hear, subgraphs=True), *callbacks],
            "configurable": {**config.get("configurable", {}), **place},
        }

    def hear(self, chunk: Chunk) -> None:
        """Take note of something that is said, in whichever thread."""
        self._heard.append(chunk)
        if get_ident() == self._thread:
            self._wake()
        else:
            self._loop.call_soon_threadsafe(self._wake)

    async def follow(
        self, graph: Coroutine[Any, Any, None], take: Callable[[Chunk], Awaitable[None]]
    ) -> None:
        """Run a graph and give what it says to `take`, one by one. Raises what either of them does."""
        running = asyncio.create_task(graph)
        running.add_done_callback(lambda _: self._wake())
        try:
            while True:
                while self._heard:
                    await take(self._heard[0])
                    self._heard.popleft()
                    self._taken += 1
                    if self._behind:
                        self._tell()
                if running.done():
                    break
                self._news = self._loop.create_future()
                await self._news
        finally:
            # LangGraph is about to cancel its tasks, and waits for what some of them shield.
            self._over.set()
            self._tell()
            running.cancel()
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()  # looked at, or asyncio would tell of it when `take` failed first
        running.result()

    async def caught_up(self) -> None:
        """Wait until all that has been said was taken; ends with the listening, too."""
        if self._heard and not self.over:
            waiter = self._loop.create_future()
            self._behind.append((self._taken + len(self._heard), waiter))
            await waiter

    async def until_over(self) -> None:
        """Wait until nobody listens any more."""
        await self._over.wait()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _tell(self) -> None:
        waiting, self._behind = self._behind, []
        for one in waiting:
            taken, waiter = one
            if waiter.done():
                continue
            if self.over or taken <= self._taken:
                waiter.set_result(None)
            else:
                self._behind.append(one)
