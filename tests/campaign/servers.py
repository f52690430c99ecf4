"""One real Redis and one real Postgres for a whole campaign: killed, stopped and restarted on their ports and data.

Their own classes do the hurting (`kill`, `kill(immediate=True)`, `restart`); here is what a campaign adds: databases
to play in, a replica, a process that stands still.
"""

import asyncio
import os
import signal
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from holdfast.events.migrate import migrate
from holdfast.local.ladder import postgres_bin_dir, redis_binary
from holdfast.local.ports import free_port
from holdfast.local.postgres_server import PostgresServer
from holdfast.local.redis_server import RedisServer
from tests.servers import create_database, drop_database


class Servers:
    """The pair, started when the block begins. `root` must be a place that another user may walk into."""

    def __init__(
        self,
        root: Path,
        *,
        redis: Mapping[str, str] | None = None,
        postgres: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root
        # Ports that survive every restart: clients find their servers again.
        self.redis = RedisServer(
            root / "redis", port=free_port(), binary=redis_binary(), settings=redis
        )
        # Killed backends of many workers may linger for a moment: room for twice the usual.
        self.postgres = PostgresServer(
            root / "postgres",
            port=free_port(),
            binary=postgres_bin_dir(),
            settings={"max_connections": "400", **(postgres or {})},
        )
        self._replicas: list[RedisServer] = []
        self._template: str | None = None

    async def start(self) -> None:
        """Return when both answer and there is a migrated database to copy."""
        await asyncio.to_thread(self._start)
        if self._template is None:
            self._template = await asyncio.to_thread(create_database, self.postgres.url)
            await migrate(self._template)

    def _start(self) -> None:
        self.redis.start()
        self.postgres.start()

    def stop(self) -> None:
        """Stop everything."""
        for server in (*self._replicas, self.redis, self.postgres):
            server.stop()

    async def database(self) -> str:
        """Return the URL of a fresh database with the schema in it."""
        return await asyncio.to_thread(create_database, self.postgres.url, template=self._template)

    async def drop(self, url: str) -> None:
        """Drop a database, throwing out whoever is in it."""
        await asyncio.to_thread(drop_database, self.postgres.url, url)

    def replica(self) -> RedisServer:
        """Start another Redis that follows the first one; it is stopped with the rest."""
        replica = RedisServer(
            self.root / f"replica-{len(self._replicas)}",
            port=free_port(),
            binary=self.redis.binary,
            settings={"replicaof": f"127.0.0.1 {self.redis.port}", "appendonly": "no"},
        )
        replica.start()
        self._replicas.append(replica)
        return replica


@contextmanager
def standing_still(pid: int) -> Generator[None]:
    """Stop a process for the length of a block; it keeps its connections and locks, and says nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
