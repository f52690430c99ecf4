"""Reading a provider to the end, or to its failure, without real pauses."""

import asyncio
import random
from typing import Any

import pytest

from holdfast.events.clock import SystemClock
from holdfast.orchestrator.models import (
    Chunk,
    ModelError,
    TextDelta,
)
from holdfast.orchestrator.models.client import ChatClient
from holdfast.orchestrator.models.settings import LlmSettings

HELLO = [{"role": "user", "content": "Say hello"}]


class RecordingClock(SystemClock):
    """Real time, but pauses are noted instead of slept."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


async def read(
    settings: LlmSettings, clock: RecordingClock | None = None, **ask: Any
) -> list[Chunk]:
    client = ChatClient(settings, clock=clock or RecordingClock(), chance=random.Random(1))
    try:
        return [chunk async for chunk in client.stream(HELLO, **ask)]
    finally:
        await client.aclose()


async def failure(settings: LlmSettings, clock: RecordingClock | None = None) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await read(settings, clock)
    return caught.value


def text_of(chunks: list[Chunk]) -> str:
    return "".join(c.text for c in chunks if isinstance(c, TextDelta))
