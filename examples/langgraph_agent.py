"""A LangGraph graph as it is: the last lines are all that makes it durable, streamed and resumable."""

from typing import Any

from langchain_core.messages import HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from holdfast.orchestrator.executors.langgraph import langgraph_workflow
from holdfast.orchestrator.models.langchain import chat_model


async def write(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await chat_model().ainvoke(state["messages"])]}


async def review(state: MessagesState) -> dict[str, Any]:
    asked = [*state["messages"], HumanMessage("As QA: is that good?")]
    return {"messages": [await chat_model().ainvoke(asked)]}


graph = StateGraph(MessagesState)
graph.add_node("write", write, metadata={"agent": "Writer", "stage": "writing"})
graph.add_node("review", review, metadata={"agent": "Critic", "stage": "review"})
graph.add_edge(START, "write")
graph.add_edge("write", "review")
graph.add_edge("review", END)

poet = langgraph_workflow(
    "poet",
    graph,
    input=str,
    to_state=lambda topic: {"messages": [HumanMessage(f"A poem about {topic}")]},
    description="Writes a poem and has it reviewed.",
)
