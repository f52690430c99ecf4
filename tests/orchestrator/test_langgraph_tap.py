"""The tap on a graph: everything that it says, once, in the order in which it says it."""

import asyncio
import threading
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph

from holdfast.orchestrator.executors.langgraph_tap import Chunk, Tap


class Listener:
    """Keeps what it takes; may be made to wait, or to fail, at a certain word."""

    def __init__(self, *, stops_at: str = "", fails_at: str = "") -> None:
        self.taken: list[str] = []
        self.stopped, self.go_on = asyncio.Semaphore(0), asyncio.Semaphore(0)
        self._stops_at, self._fails_at = stops_at, fails_at

    async def take(self, chunk: Chunk) -> None:
        _, _, word = chunk
        if word in self._stops_at:
            self.stopped.release()
            await self.go_on.acquire()
        if word == self._fails_at:
            raise LookupError(word)
        self.taken.append(word)


def said(word: str) -> Chunk:
    return (), "custom", word


async def test_what_is_said_is_taken_in_order_whichever_thread_says_it() -> None:
    tap, listener = Tap(), Listener()

    def say(*words: str) -> None:
        for word in words:
            tap.hear(said(word))

    async def graph() -> None:
        say("a", "b")
        await asyncio.sleep(0)
        await asyncio.to_thread(say, "c", "d")
        await asyncio.wait_for(tap.caught_up(), 5)
        say("e")

    await tap.follow(graph(), listener.take)

    assert listener.taken == ["a", "b", "c", "d", "e"]


async def test_whoever_catches_up_waits_for_what_was_said_before_and_for_no_more() -> None:
    tap, listener = Tap(), Listener(stops_at="bcd")

    async def graph() -> None:
        for word in "abc":
            tap.hear(said(word))
        before = asyncio.create_task(tap.caught_up())
        await listener.stopped.acquire()
        listener.go_on.release()
        await listener.stopped.acquire()
        tap.hear(said("d"))
        await asyncio.sleep(0)
        assert not before.done()

        listener.go_on.release()
        await asyncio.wait_for(before, 5)

        assert listener.taken == ["a", "b", "c"]
        after = asyncio.create_task(tap.caught_up())
        await listener.stopped.acquire()
        assert not after.done()
        listener.go_on.release()
        await asyncio.wait_for(after, 5)
        assert listener.taken == ["a", "b", "c", "d"]

    await tap.follow(graph(), listener.take)


async def test_what_a_graph_said_before_it_failed_is_taken_before_its_error_is_raised() -> None:
    tap, listener = Tap(), Listener()

    async def graph() -> None:
        tap.hear(said("a"))
        raise LookupError("the graph's own")

    with pytest.raises(LookupError, match="the graph's own"):
        await tap.follow(graph(), listener.take)

    assert listener.taken == ["a"]


async def test_a_listener_that_fails_ends_the_graph_and_whoever_waits_for_it() -> None:
    """The graph is told that nobody listens before it is cancelled: what it writes then isn't saved."""
    tap, listener = Tap(), Listener(stops_at="a", fails_at="a")
    seen: list[str] = []
    waiting: list[asyncio.Task[None]] = []

    async def graph() -> None:
        tap.hear(said("a"))
        waiting.append(asyncio.create_task(tap.caught_up()))
        await listener.stopped.acquire()
        listener.go_on.release()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(f"cancelled, over: {tap.over}")
            raise

    with pytest.raises(LookupError):
        await asyncio.wait_for(tap.follow(graph(), listener.take), 5)

    assert seen == ["cancelled, over: True"]
    await asyncio.wait_for(waiting[0], 5)
    await asyncio.wait_for(tap.caught_up(), 5)
    await asyncio.wait_for(tap.until_over(), 5)


async def test_a_cancel_of_the_listening_cancels_the_graph_and_waits_for_its_end() -> None:
    tap, listener = Tap(), Listener()
    began, ended = asyncio.Event(), asyncio.Event()

    async def graph() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    following = asyncio.create_task(tap.follow(graph(), listener.take))
    await began.wait()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following

    assert ended.is_set()


def _story(chunks: list[Chunk]) -> list[Any]:
    """What the nodes said: texts of messages, and what they wrote to the stream."""
    return [
        data[0].content if mode == "messages" else data
        for _, mode, data in chunks
        if mode == "custom" or (mode == "messages" and data[0].content)
    ]


async def _speak(state: MessagesState) -> dict[str, Any]:
    write = get_stream_writer()
    write("before")
    answer = await GenericFakeChatModel(messages=iter([AIMessage("one two")])).ainvoke("?")
    write("after")
    return {"messages": [answer]}


def _speak_in_a_thread(state: MessagesState) -> dict[str, Any]:
    assert threading.current_thread() is not threading.main_thread()
    write = get_stream_writer()
    write("before")
    answer = GenericFakeChatModel(messages=iter([AIMessage("one two")])).invoke("?")
    write("after")
    return {"messages": [answer]}


def _inside(state: MessagesState) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("inside", _speak)
    graph.add_edge(START, "inside")
    graph.add_edge("inside", END)
    return graph.compile()


@pytest.mark.parametrize("node", [_speak, _speak_in_a_thread, "inner graph"])
async def test_a_models_pieces_stand_where_its_node_wrote_to_the_stream(node: Any) -> None:
    """Both come over different ways of LangGraph's, and are told in the order in which the node did it."""
    graph = StateGraph(MessagesState)
    graph.add_node("speak", _inside(MessagesState(messages=[])) if node == "inner graph" else node)
    graph.add_edge(START, "speak")
    graph.add_edge("speak", END)
    tap, chunks = Tap(), list[Chunk]()

    async def take(chunk: Chunk) -> None:
        chunks.append(chunk)

    async def run() -> None:
        await graph.compile().ainvoke(MessagesState(messages=[]), tap.config({}))

    await tap.follow(run(), take)

    assert _story(chunks) == ["before", "one", " ", "two", "after"]
    tasks = [(mode, data["name"]) for _, mode, data in chunks if mode == "tasks"]
    names = ["speak", "inside", "inside", "speak"] if node == "inner graph" else ["speak", "speak"]
    assert [name for _, name in tasks] == names
    assert chunks[0][1] == chunks[-1][1] == "tasks"
