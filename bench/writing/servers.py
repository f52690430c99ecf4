"""A Postgres and a Redis of a measurement's own, as `holdfast dev` would start them, on the disk that it would use."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.rig.clocks import family, pin
from holdfast.events.migrate import migrate
from holdfast.local.ladder import postgres_server, redis_server
from holdfast.local.server import Server
from tests.past import give_past


@dataclass(frozen=True, slots=True)
class Servers:
    """Both of them, on core 0; whoever writes has core 1."""

    postgres: Server
    redis: Server

    @property
    def database_url(self) -> str:
        """Where the log is."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        """Where the streams are."""
        return self.redis.url

    def postgres_pids(self) -> Sequence[int]:
        """The postmaster and whoever works for it just now."""
        return family(self.postgres.pid) if self.postgres.pid else ()


@contextmanager
def servers(place: Path) -> Generator[Servers]:
    """Start them with a log that has a past; stop them in the end."""
    place.chmod(0o755)  # Postgres may run as somebody else
    postgres, redis = postgres_server(place / "postgres"), redis_server(place / "redis")
    try:
        postgres.start()
        redis.start()
        asyncio.run(_prepared(postgres.url))
        # Backends are forked from the postmaster, and so is where they run.
        pin([pid for pid in (postgres.pid, redis.pid) if pid], 0)
        yield Servers(postgres, redis)
    finally:
        redis.stop()
        postgres.stop()


async def _prepared(database_url: str) -> None:
    await migrate(database_url)
    await give_past(database_url)
