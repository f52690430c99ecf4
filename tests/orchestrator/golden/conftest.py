"""The stage of each teller."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from holdfast.orchestrator.workflow import Resources
from tests.orchestrator.golden import graph_tellers, tellers
from tests.orchestrator.golden.stages import Stage, Teller
from tests.orchestrator.harness import World

_REAL = [pytest.mark.postgres, pytest.mark.redis]

TELLERS: list[Any] = [
    pytest.param((tellers.plain, "memory"), id="plain"),
    pytest.param((graph_tellers.langgraph, "real"), id="langgraph", marks=_REAL),
    pytest.param((graph_tellers.functional, "real"), id="functional", marks=_REAL),
    pytest.param((tellers.pydantic_ai, "memory"), id="pydantic_ai"),
    pytest.param(
        (graph_tellers.langgraph_agui, "memory"),
        id="langgraph_agui",
        # The adapter still asks LangGraph for a schema under its old name.
        marks=pytest.mark.filterwarnings("ignore:`get_config_jsonschema` is deprecated"),
    ),
    pytest.param((tellers.a2a, "memory"), id="a2a"),
]


@pytest.fixture(params=TELLERS)
def scene(request: pytest.FixtureRequest) -> tuple[Teller, World, str | None]:
    teller, kind = request.param
    world: World = request.getfixturevalue(f"{kind}_world")
    return teller, world, request.getfixturevalue("database_url") if kind == "real" else None


@pytest.fixture
async def stage(scene: tuple[Teller, World, str | None]) -> AsyncIterator[Stage]:
    teller, world, database_url = scene
    async with AsyncExitStack() as stack:
        workflow = await stack.enter_async_context(teller())
        yield Stage(world, workflow, Resources(database_url or "", stack))
        await world.close()
