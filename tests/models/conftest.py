"""A provider on loopback, settings that point to it, and an environment without a model."""

import os
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from holdfast.orchestrator.models import LlmSettings
from tests.models.behaviours import normal
from tests.models.openai_server import MODEL, OpenAIServer, openai_server

KEY = "sk-secret-0123456789"

Configure = Callable[..., LlmSettings]


@pytest.fixture(autouse=True)
def _no_model_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell knows about models and proxies stays out of these tests."""
    for name in list(os.environ):
        if name.upper().startswith(("HOLDFAST_LLM_", "OPENAI_", "LANGSMITH_", "LANGCHAIN_")):
            monkeypatch.delenv(name)
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
async def provider() -> AsyncGenerator[OpenAIServer, None]:
    async with openai_server() as server:
        server.script(normal())
        yield server


@pytest.fixture
def configure(provider: OpenAIServer) -> Configure:
    def build(**more: Any) -> LlmSettings:
        values: dict[str, Any] = {"base_url": provider.base_url, "api_key": KEY, "model": MODEL}
        return LlmSettings(**(values | more))

    return build
