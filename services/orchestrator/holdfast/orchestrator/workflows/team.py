"""`team`: a software team as a LangGraph graph. Six roles take a requirement through four stages.

An ordinary graph: nodes call a chat model and return its message. What Holdfast shows of it comes from the graph's own
stream and from the nodes' metadata (`agent`, `stage`); nothing in the nodes knows of Holdfast.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel, ConfigDict, Field

from holdfast.orchestrator.executors.langgraph import langgraph_workflow
from holdfast.orchestrator.models.langchain import chat_model

# Role, node, stage, and what the role is asked to do, in the order of work.
ROLES = (
    ("Boss", "boss", "requirement", "Restate the requirement, set its scope and what done means."),
    (
        "Product Manager",
        "product_manager",
        "requirement",
        "Write user stories with acceptance criteria.",
    ),
    ("Architect", "architect", "design", "Design the system: components, data, interfaces, risks."),
    ("Project Manager", "project_manager", "design", "Break the design into ordered tasks."),
    ("Engineer", "engineer", "development", "Implement the core in code."),
    (
        "QA",
        "qa",
        "testing",
        "Test the implementation against the acceptance criteria; give a verdict.",
    ),
)


class TeamInput(BaseModel):
    """What the team is to build."""

    model_config = ConfigDict(extra="forbid")

    requirement: Annotated[
        str, Field(min_length=1, max_length=10_000, description="what to build, in your own words")
    ]


def _node(role: str, task: str) -> Callable[..., Awaitable[dict[str, Any]]]:
    async def take_turn(state: MessagesState) -> dict[str, Any]:
        prompt: list[AnyMessage] = [
            SystemMessage(f"You are the {role} of a software team. {task} Be brief."),
            *state["messages"],
        ]
        answer = await chat_model().ainvoke(prompt)
        answer.name = role.replace(" ", "_")
        return {"messages": [answer]}

    return take_turn


def build() -> StateGraph[MessagesState, None, MessagesState, MessagesState]:
    """Return the team's graph, not yet compiled."""
    graph = StateGraph(MessagesState)
    previous = START
    for role, name, stage, task in ROLES:
        graph.add_node(name, _node(role, task), metadata={"agent": role, "stage": stage})
        graph.add_edge(previous, name)
        previous = name
    graph.add_edge(previous, END)
    return graph


team = langgraph_workflow(
    "team",
    build(),
    input=TeamInput,
    to_state=lambda given: {"messages": [HumanMessage(f"Requirement: {given.requirement}")]},
    version="1",
    description="A software team of six roles takes a requirement from idea to tested code.",
)
