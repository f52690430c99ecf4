"""Plays scenarios: brings a stack up, does a round, has it judged, and says what came of it."""

import shutil
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign.field import Field, open_field
from tests.campaign.judge import Verdict, judge
from tests.campaign.round import playing
from tests.campaign.scenario import Scenario
from tests.campaign.servers import Servers
from tests.servers import make_server_dir


@dataclass(slots=True)
class Played:
    """A round that was judged."""

    scenario: str
    seed: int
    first: int
    done: dict[str, int]
    verdict: Verdict
    seconds: float
    units: int = field(init=False)

    def __post_init__(self) -> None:
        self.units = sum(self.done.values())


@asynccontextmanager
async def servers_of(scenario: Scenario) -> AsyncGenerator[Servers]:
    """Start the servers that a scenario wants, in a place of their own."""
    root = make_server_dir()
    servers = Servers(root, redis=scenario.setting.redis)
    try:
        await servers.start()
        yield servers
    finally:
        servers.stop()
        shutil.rmtree(root, ignore_errors=True)


@asynccontextmanager
async def stage(scenario: Scenario, servers: Servers, directory: Path) -> AsyncGenerator[Field]:
    """Bring up the stack that a scenario wants on running servers."""
    setting = scenario.setting
    async with open_field(
        servers, directory, spared=setting.spared, gateways=setting.gateways, env=setting.env
    ) as field_:
        yield field_


async def play(scenario: Scenario, field_: Field, *, seed: int, first: int, count: int) -> Played:
    """Do `count` units of a scenario from the `first` on, and judge what is left."""
    begun, setting = time.monotonic(), scenario.setting
    try:
        async with playing(
            field_,
            seed,
            in_flight=setting.in_flight,
            churn=setting.churn,
            clients_max=setting.clients_max,
            mix=setting.mix,
        ) as round_:
            await scenario.hurt(round_, first, count)
    except BaseException:
        # The next scenario on this stack must not meet what this one left behind.
        await field_.clear()
        raise
    verdict = await judge(round_, scenario.name, whole_windows=setting.whole_windows)
    return Played(scenario.name, seed, first, dict(round_.done), verdict, time.monotonic() - begun)
