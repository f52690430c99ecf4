"""The last rung: the server in a container, where an engine really answers.

The client runs in the foreground as our child and passes signals on, so that a container has the
same life as a program: it stops when told and goes with us.
"""

import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

import psycopg

from holdfast.local.postgres_server import (
    DATABASE,
    PROBE_SECONDS,
    USER,
    PostgresServer,
    write_secret,
)
from holdfast.local.postgres_server import SETTINGS as POSTGRES_SETTINGS
from holdfast.local.redis_server import SETTINGS as REDIS_SETTINGS
from holdfast.local.redis_server import redis_info
from holdfast.local.server import ChildServer

REDIS_IMAGE = "valkey/valkey:8"
POSTGRES_IMAGE = "postgres:18"

# A client without an engine fails at once; one whose engine sleeps may hang.
ANSWER_SECONDS = 5.0

# `docker kill` of one container, and the pull of an image before its first start.
KILL_SECONDS = 20.0
PULL_SECONDS = 600.0


@cache
def docker_answers() -> bool:
    """Tell whether a container engine really answers: a client on PATH proves nothing."""
    return shutil.which("docker") is not None and _docker("version", seconds=ANSWER_SECONDS)


def _docker(*words: str, seconds: float) -> bool:
    try:
        answer = subprocess.run(
            ["docker", *words],  # noqa: S607 (the person's own docker is the one to use)
            capture_output=True,
            check=False,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


class _Container(ChildServer):
    """A server in a container that is removed when it ends; its data stays in `data_dir`."""

    image: ClassVar[str]
    inner_port: ClassVar[int]
    inner_data: ClassVar[str]

    def __init__(self, data_dir: Path, *, port: int | None = None) -> None:
        super().__init__(data_dir, port=port)
        self._container = f"holdfast-{self.name}-{secrets.token_hex(4)}"

    @property
    def version(self) -> str:
        """The tag of the image: what the container says needs a client."""
        return self.image.partition(":")[2]

    def _prepare(self) -> None:
        if not _docker("image", "inspect", self.image, seconds=ANSWER_SECONDS):
            _docker("pull", self.image, seconds=PULL_SECONDS)

    def _run(self, port: int, *options: str) -> list[str]:
        return [
            *("docker", "run", "--rm", "--name", self._container),
            *("--publish", f"{self.host}:{port}:{self.inner_port}"),
            *("--volume", f"{self.data_dir / 'container'}:{self.inner_data}"),
            *options,
            self.image,
        ]

    def kill(self) -> None:
        """End the container as a crash would; its client then ends by itself, or is ended."""
        if self.is_running():
            _docker("kill", self._container, seconds=KILL_SECONDS)
        super().kill()


class ContainerRedis(_Container):
    """Valkey in a container."""

    name = "redis"
    image = REDIS_IMAGE
    inner_port = 6379
    inner_data = "/data"
    stop_signals: ClassVar = ((signal.SIGTERM, 10.0),)
    death_signal: ClassVar = signal.SIGTERM

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:<port>/0`; the same over every restart."""
        return f"redis://{self.address}/0"

    def _command(self, port: int) -> Sequence[str]:
        words = (word for key, value in REDIS_SETTINGS.items() for word in (f"--{key}", value))
        return [*self._run(port), "valkey-server", *words]

    def _answers(self, port: int) -> bool:
        return redis_info(self.host, port).get("loading") == "0"


class ContainerPostgres(_Container):
    """Postgres in a container."""

    name = "postgres"
    image = POSTGRES_IMAGE
    inner_port = 5432
    inner_data = "/var/lib/postgresql"
    stop_signals: ClassVar = ((signal.SIGINT, 20.0), (signal.SIGTERM, 5.0))
    death_signal: ClassVar = signal.SIGINT
    passing_failures: ClassVar = PostgresServer.passing_failures

    @property
    def url(self) -> str:
        """The URL of its own database; the same over every restart."""
        return f"postgresql://{USER}:{self._password()}@{self.address}/{DATABASE}"

    def _prepare(self) -> None:
        super()._prepare()
        if not self._environment.exists():
            lines = {
                "POSTGRES_USER": USER,
                "POSTGRES_DB": DATABASE,
                "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
                "POSTGRES_INITDB_ARGS": "--encoding=UTF8 --locale=C --data-checksums",
            }
            # A file, since what stands in a command line is everybody's to read.
            write_secret(self._environment, "".join(f"{k}={v}\n" for k, v in lines.items()))

    def _command(self, port: int) -> Sequence[str]:
        settings = {**POSTGRES_SETTINGS, "listen_addresses": "*"}
        words = (word for key, value in settings.items() for word in ("-c", f"{key}={value}"))
        return [*self._run(port, "--env-file", str(self._environment)), "postgres", *words]

    def _answers(self, port: int) -> bool:
        # While it initialises, the image runs a server without TCP: one that answers here is the
        # real one.
        try:
            psycopg.connect(
                host=self.host,
                port=port,
                user=USER,
                password=self._password(),
                dbname=DATABASE,
                connect_timeout=PROBE_SECONDS,
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _environment(self) -> Path:
        return self.data_dir / "container.env"

    def _password(self) -> str:
        lines = self._environment.read_text(encoding="ascii").splitlines()
        return dict(line.split("=", 1) for line in lines)["POSTGRES_PASSWORD"]
