"""A workflow of which two versions are deployed, and the newer version of everything around it.

    python -m tests.faults.mixed worker|gateway

starts a service as it might be one release from now: it knows an event type that this tree has never heard of, its
`mixed` workflow has another version, which emits it, its schema is one migration further, and its wake-ups carry events
in a way that nobody else understands.
"""

import asyncio
import sys
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from holdfast.events import migrate as migrations
from holdfast.events import stream_message
from holdfast.events.catalog import Event, MessageDelta
from holdfast.events.migrate import Migration
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow

MIGRATION = Migration(
    "9000_weather.sql",
    "alter table events add column weather text default 'fair'; create table weather (day date primary key);",
)

NEWER = __name__ == "__main__"


class WeatherObserved(Event):
    """What the newer version tells besides."""

    type: Literal["weather.observed"] = "weather.observed"
    sky: str
    wind: dict[str, float]


class MixedInput(BaseModel):
    ticks: Annotated[int, Field(ge=1, le=10_000)]
    pause_ms: Annotated[float, Field(ge=0, le=1000)] = 20


@workflow("mixed", version="2" if NEWER else "1")
async def mixed(ctx: WorkflowContext, input: MixedInput) -> dict[str, int]:
    """Tick, and tell of the weather where it is known."""
    for tick in range(1, input.ticks + 1):
        fresh = await ctx.emit(MessageDelta(message_id=f"{ctx.run_id}.m", text=f"tick {tick}\n"))
        if NEWER:
            await ctx.emit(WeatherObserved(sky="clear – “blue”", wind={"m/s": tick / 10}))
        if fresh:
            await asyncio.sleep(input.pause_ms / 1000)
    return {"ticks": input.ticks}


def main(service: str) -> int:
    """Start a service of the newer version."""
    ours = migrations.migrations()
    migrations.migrations = lambda: [*ours, MIGRATION]
    if service == "worker":
        stream_message.VERSION = b"e2 "
    # So that the worker finds the version of this process under the name that its settings give.
    sys.modules["tests.faults.mixed"] = sys.modules["__main__"]
    if service == "worker":
        from holdfast.orchestrator.__main__ import main as run
    else:
        from holdfast.gateway.__main__ import main as run
    return run([])


if NEWER:
    sys.exit(main(sys.argv[1]))
