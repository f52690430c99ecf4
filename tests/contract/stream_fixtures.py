"""The streams under contract, one for each implementation and each Redis of this machine."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.contract.stream_rigs import (
    MemoryRig,
    RedisRig,
    Rig,
    Stream,
    StreamServers,
    fresh_session,
    redis_rig_of,
)
from tests.servers import Servers, redis_names


@pytest.fixture(scope="session")
def stream_servers(servers: Servers) -> Iterator[StreamServers]:
    started = StreamServers(servers.root)
    yield started
    started.stop()


@pytest.fixture(params=[pytest.param(v, marks=pytest.mark.redis) for v in redis_names()])
async def redis_rig(
    stream_servers: StreamServers, request: pytest.FixtureRequest
) -> AsyncIterator[RedisRig]:
    async with redis_rig_of(stream_servers, request.param) as rig:
        yield rig


@pytest.fixture(
    params=["memory", *(pytest.param(v, marks=pytest.mark.redis) for v in redis_names())]
)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "memory":
        rig = MemoryRig()
        yield rig
        await rig.stream.close()
    else:
        servers = request.getfixturevalue("stream_servers")
        async with redis_rig_of(servers, request.param) as redis_rig:
            yield redis_rig


@pytest.fixture
def stream(rig: Rig) -> Stream:
    return rig.stream


@pytest.fixture
def session() -> int:
    return fresh_session()
