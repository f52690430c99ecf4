"""Anything that yields AG-UI events becomes a workflow: here a Pydantic AI agent, through the adapter it brings."""

import os
from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.test import TestModel
from pydantic_ai.ui.ag_ui import AGUIAdapter

from holdfast.orchestrator.executors.agui import agui_workflow


def model() -> Model:
    """The provider that HOLDFAST_LLM_… names; without one, Pydantic AI's own stand-in, which needs no network."""
    url = os.environ.get("HOLDFAST_LLM_BASE_URL")
    if not url:
        return TestModel(custom_output_text="I looked it up: it is sunny in Bern.")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    key = os.environ.get("HOLDFAST_LLM_API_KEY") or "no-key"
    provider = OpenAIProvider(base_url=url, api_key=key)
    return OpenAIChatModel(os.environ["HOLDFAST_LLM_MODEL"], provider=provider)


def source(run: Any) -> AsyncIterator[Any]:
    agent = Agent(model(), instructions="You tell the weather.")

    @agent.tool_plain
    def weather(city: str) -> str:
        """Return the weather in a city."""
        return f"sunny in {city}"

    return AGUIAdapter(agent, run_input=run).run_stream()


forecaster = agui_workflow(
    "forecaster", source, input=str, agent="Forecaster", description="Tells the weather."
)
