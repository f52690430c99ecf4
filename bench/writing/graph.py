"""A LangGraph graph whose one node speaks 200 tokens, as a workflow of Holdfast's and bare.

`python -m bench.writing.graph RUNS` runs it bare. The model says what it says at once, so that a token costs what the
framework makes it cost, and nothing else.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any, TypedDict

import uvloop
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import END, START, StateGraph

from holdfast.orchestrator.executors.langgraph import langgraph_workflow

TOKENS = 200


class Talker(BaseChatModel):
    """Says so many tokens, with a turn of the loop between them."""

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        message = AIMessageChunk(content="".join(f"token {n} " for n in range(TOKENS)))
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for n in range(TOKENS):
            await asyncio.sleep(0)
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"token {n} "))


class State(TypedDict, total=False):
    """What the graph keeps."""

    question: str
    answer: str


_talker = Talker()


async def _speak(state: State) -> State:
    answer = ""
    async for chunk in _talker.astream(state.get("question") or "?"):
        answer += str(chunk.content)
    return {"answer": answer}


def _graph() -> Any:
    graph = StateGraph(State)
    graph.add_node("speak", _speak)
    graph.add_edge(START, "speak")
    graph.add_edge("speak", END)
    return graph


tokens = langgraph_workflow(
    "tokens", _graph(), input=dict[str, Any], to_result=lambda values: len(values["answer"])
)


async def _bare(runs: int) -> dict[str, Any]:
    graph = _graph().compile()

    async def one() -> int:
        found = 0
        # What Holdfast tells of, asked for as an application would that shows it.
        stream = graph.astream(
            {"question": "?"},
            stream_mode=["tasks", "messages", "custom"],
            version="v2",
            subgraphs=True,
        )
        async for chunk in stream:
            found += chunk["type"] == "messages"
        return found

    await one()  # imports, caches
    began, cpu = time.monotonic(), time.process_time()
    said = await asyncio.gather(*(one() for _ in range(runs)))
    cpu = time.process_time() - cpu
    assert all(found >= TOKENS for found in said), said
    return {"tokens": TOKENS * runs, "cpu_s": cpu, "seconds": time.monotonic() - began}


def main() -> None:
    """Run it bare, and say what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=int)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_bare(parser.parse_args().runs))))


if __name__ == "__main__":
    main()
