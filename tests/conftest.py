"""Fixtures that every test may ask for: the event loop, real servers and migrated databases."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.local.ladder import postgres_bin_dir, redis_binary
from holdfast.local.postgres_server import PostgresServer
from holdfast.local.redis_server import RedisServer
from tests.servers import (
    Servers,
    create_database,
    drop_database,
    make_server_dir,
    redis_names,
    run_elsewhere,
)

# Who starts tests in the background of a shell starts them deaf to Ctrl-C, and so all the programs that they start and
# interrupt. Handled here, it is as usual there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One loop for the whole session, so that session-wide pools can live in it."""
    return "asyncio"


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The real servers of this pytest process, started when first asked for."""
    servers = Servers(make_server_dir())
    yield servers
    servers.stop()


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    """A Redis shared by the session: use keys of your own, never flush it."""
    return servers.redis().url


@pytest.fixture(scope="session", params=redis_names())
def any_redis_url(servers: Servers, request: pytest.FixtureRequest) -> str:
    """Each Redis version of this machine in turn, for contracts that hold on all of them."""
    return servers.redis_of(request.param).url


@pytest.fixture(scope="session")
def postgres_url(servers: Servers) -> str:
    """A Postgres shared by the session; its own database is empty and nobody's."""
    return servers.postgres().url


@pytest.fixture(scope="session")
def template_url(postgres_url: str) -> Iterator[str]:
    """A database with every migration applied. Clone it (`database_url`), don't connect to it."""
    from holdfast.events.migrate import migrate

    async def apply() -> None:
        await migrate(url)

    url = create_database(postgres_url)
    run_elsewhere(apply())
    yield url
    drop_database(postgres_url, url)


@pytest.fixture
def database_url(postgres_url: str, template_url: str) -> Iterator[str]:
    """A migrated database of this test's own."""
    url = create_database(postgres_url, template=template_url)
    yield url
    drop_database(postgres_url, url)


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database of this test's own with nothing in it, for tests of the migrations."""
    url = create_database(postgres_url)
    yield url
    drop_database(postgres_url, url)


@pytest.fixture
def server_dir() -> Iterator[Path]:
    """A directory of this test's own for servers it kills; another user may walk into it."""
    servers = Servers(make_server_dir())
    yield servers.root
    servers.stop()


@pytest.fixture
def own_redis(server_dir: Path) -> Iterator[RedisServer]:
    """A Redis that this test alone uses and may kill, stop and restart."""
    with RedisServer(server_dir / "own-redis", binary=redis_binary()) as server:
        yield server


@pytest.fixture
def own_postgres(server_dir: Path) -> Iterator[PostgresServer]:
    """A Postgres that this test alone uses and may kill, stop and restart."""
    with PostgresServer(server_dir / "own-postgres", binary=postgres_bin_dir()) as server:
        yield server
