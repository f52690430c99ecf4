"""Real servers for tests, from the same ladder that `holdfast dev` climbs.

Each pytest process has its own, under a directory of its own on the fastest disk. A server that
cannot be had is a failure that says how to install it: nothing is skipped for lack of one.
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from holdfast.local.ladder import postgres_server, redis_binaries, redis_server
from holdfast.local.processes import ProcessId
from holdfast.local.redis_server import RedisServer, redis_version
from holdfast.local.server import Server

# A Postgres with its log is about 40 MB, an xdist run may have eight, and faults add more.
MEMORY_DISK_FREE_MIN = 2 * 1024**3
_MEMORY_DISK = Path("/dev/shm")

_PREFIX = "holdfast-tests-"


def fastest_disk() -> Path:
    """The memory disk where it has room, else the place for temporary files."""
    usable = os.access(_MEMORY_DISK, os.W_OK | os.X_OK)
    if usable and shutil.disk_usage(_MEMORY_DISK).free >= MEMORY_DISK_FREE_MIN:
        return _MEMORY_DISK
    return Path(tempfile.gettempdir())


def make_server_dir() -> Path:
    """A directory for this process's servers, which another user may walk into (Postgres as root).

    pytest's own `tmp_path` is closed to others. What a killed test process left behind is removed:
    it may sit in memory.
    """
    disk = fastest_disk()
    for left in disk.glob(f"{_PREFIX}*"):
        owner = left.name.removeprefix(_PREFIX).split("-")[0]
        if owner != _label(int(owner.split(".")[0])):
            shutil.rmtree(left, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{_label(os.getpid())}-", dir=disk))
    path.chmod(0o755)
    return path


def _label(pid: int) -> str | None:
    """The process with this pid, told apart from any later one, as part of a file name."""
    process = ProcessId.of(pid)
    return process and f"{process.pid}.{re.sub('[^A-Za-z0-9]', '_', process.started)}"


def redis_names() -> list[str]:
    """The Redis versions to hold a contract against, such as `7.0.15` and `6.2.14`; never empty.

    An empty list of parameters would skip every test that takes it, so a machine without Redis
    gets one name, whose server fails to start with the reason.
    """
    return [redis_version(binary) for binary in redis_binaries()] or ["none"]


class Servers:
    """The servers of one pytest process, each started when first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._running: dict[str, Server] = {}

    def redis(self) -> Server:
        """The first Redis of the ladder."""
        return self._started("redis", lambda place: redis_server(place))

    def redis_of(self, version: str) -> Server:
        """The Redis of exactly this version, as `redis_names` gives them."""

        def make(place: Path) -> Server:
            for binary in redis_binaries():
                if redis_version(binary) == version:
                    return RedisServer(place, binary=binary)
            return redis_server(place)

        return self._started(f"redis-{version}", make)

    def postgres(self) -> Server:
        """The first Postgres of the ladder."""
        return self._started("postgres", lambda place: postgres_server(place))

    def _started(self, key: str, make: Callable[[Path], Server]) -> Server:
        if key not in self._running:
            server = make(self.root / key)
            server.start()
            self._running[key] = server
        return self._running[key]

    def stop(self) -> None:
        """Stop all of them and remove their data."""
        for server in self._running.values():
            server.stop()
        self._running.clear()
        shutil.rmtree(self.root, ignore_errors=True)


def with_database(url: str, database: str) -> str:
    """The same server, another database; without TLS, unless the address says something of its own.

    asyncpg asks a server for TLS first. When a connect is cancelled during that question, it leaves a future with an
    error that nobody reads, and the test that cancelled fails when the garbage is collected.
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{database}", query=parts.query or "sslmode=disable"))


def create_database(server_url: str, *, template: str | None = None) -> str:
    """Create a database of a fresh name, a copy of `template` if given; return its URL."""
    name = f"test_{uuid4().hex}"
    statement = sql.SQL("create database {}").format(sql.Identifier(name))
    if template is not None:
        source = urlsplit(template).path.removeprefix("/")
        statement += sql.SQL(" template {}").format(sql.Identifier(source))
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(statement)
    return with_database(server_url, name)


def drop_database(server_url: str, url: str) -> None:
    """Drop the database of `url`, throwing out whoever is still in it."""
    name = urlsplit(url).path.removeprefix("/")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )


def run_elsewhere(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in a loop of its own, also while this thread's loop is running."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()
