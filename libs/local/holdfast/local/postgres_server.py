"""A real Postgres as a child process, as durable as in production."""

import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

import psycopg
from psycopg import sql

from holdfast.local.errors import ServerFailed, WrongMajor
from holdfast.local.postgres_account import account_for, place_of, reachable_programs
from holdfast.local.processes import Account, spawn
from holdfast.local.server import ChildServer

# `--version` prints one line and ends.
VERSION_SECONDS = 10.0

# initdb takes about 1 s on a fast disk; a slow one that syncs may take twenty times that.
INITDB_SECONDS = 120.0

# A probe of a server on the same machine.
PROBE_SECONDS = 2

USER = "holdfast"
DATABASE = "holdfast"

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    # TCP serves every driver and has no path that can be too long.
    "unix_socket_directories": "",
    # 6 for a gateway and 8 for a worker: a good ten of each.
    "max_connections": "200",
    # An event that was acknowledged is on disk: here as in production.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@cache
def postgres_version(bin_dir: Path) -> str:
    """Return what `postgres --version` calls itself, such as `18.4`."""
    answer = subprocess.run(
        [str(bin_dir / "postgres"), "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=VERSION_SECONDS,
    )
    found = re.search(r"\) (\d[\w.]*)", answer.stdout)
    return found[1] if found else answer.stdout.strip()


def major_of(version: str) -> str:
    """Return the part of a version that decides who can read the data: `18` of `18.4`."""
    found = re.match(r"\d+", version)
    return found[0] if found else version


def cluster_major(data_dir: Path) -> str | None:
    """Return the major version that made this data directory's cluster; None if it has none."""
    cluster = place_of(data_dir, account_for(data_dir / "cluster")) / "cluster"
    try:
        return (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


class PostgresServer(ChildServer):
    """A Postgres on loopback with its cluster in `data_dir`, made at the first start.

    `binary` is the directory of `postgres` and `initdb` (or the path of `postgres`), the first of
    the ladder by default; `settings` are added to the ones above (`{"synchronous_commit": "off"}`).
    """

    name = "postgres"
    # Fast (roll back and say goodbye), then immediate (as after a crash, but tidy), then SIGKILL.
    stop_signals: ClassVar = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))
    death_signal: ClassVar = signal.SIGINT
    # Backends outlive a killed postmaster for a moment. Its pid file is never removed by hand:
    # Postgres itself decides whether the one it names is alive, and two servers on one cluster
    # destroy it.
    passing_failures: ClassVar = (
        'lock file "postmaster.pid" already exists',
        "pre-existing shared memory block",
        'lock file "postmaster.pid" is empty',
    )

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        binary: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(data_dir, port=port)
        if binary is None:
            from holdfast.local.ladder import postgres_bin_dir

            binary = postgres_bin_dir(self.data_dir)
        binary = Path(binary)
        self.bin_dir = binary if binary.is_dir() else binary.resolve().parent
        self.settings = {**SETTINGS, **(settings or {})}
        self._cluster = self.data_dir / "cluster"
        self._password: str | None = None

    @property
    def url(self) -> str:
        """The URL of its own database, for asyncpg and psycopg; the same over every restart."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Return the URL of another database of this server."""
        return f"postgresql://{USER}:{self._the_password()}@{self.address}/{database}"

    @property
    def version(self) -> str:
        """The version of the programs, such as `18.4`."""
        return postgres_version(self.bin_dir)

    @property
    def cluster(self) -> Path:
        """The data directory proper; elsewhere than in `data_dir` only where root could not use
        that.
        """
        return self._cluster

    def kill(self, *, immediate: bool = False) -> None:
        """End it as a crash would: SIGKILL to the postmaster, or with `immediate` Postgres' own
        SIGQUIT.

        After a SIGKILL its backends notice within moments and go too; the next start waits for
        them.
        """
        if immediate and self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(PROBE_SECONDS * 5)
            except subprocess.TimeoutExpired:
                super().kill()
        else:
            super().kill()

    def _prepare(self) -> None:
        # Root's servers write their cluster as somebody else, who must get through to it.
        if os.geteuid() == 0:
            self.data_dir.chmod(0o755)
        self._account = account_for(self.data_dir / "cluster")
        place = place_of(self.data_dir, self._account)
        if self._account is not None and place != self.data_dir:
            self._account = account_for(place / "cluster")
        self._cluster = place / "cluster"
        self.bin_dir = reachable_programs(self.bin_dir, self._account)
        if not self._cluster.exists():
            self._initdb(self._account)
        made_by = (self._cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        if made_by != major_of(self.version):
            raise WrongMajor(self._cluster, made_by=made_by, binary=self.version)

    def _initdb(self, account: Account | None) -> None:
        # Made under another name and renamed when whole: an interrupted first start leaves no half
        # cluster.
        half = self._cluster.with_name("cluster.new")
        handed_over = self._cluster.with_name("password.new")
        shutil.rmtree(half, ignore_errors=True)
        handed_over.unlink(missing_ok=True)
        password = secrets.token_urlsafe(24)
        write_secret(self._password_path, password)
        write_secret(handed_over, password)
        half.mkdir(mode=0o700)
        if account is not None:
            os.chown(half, *account)
            os.chown(handed_over, *account)
        # A password, since loopback is open to every user of the machine and this role may run
        # programs.
        options = (
            *("--username", USER, "--pwfile", str(handed_over), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale", "C", "--data-checksums", "--no-instructions"),
        )
        log_start = self._log_size()
        command = [str(self.bin_dir / "initdb"), "--pgdata", str(half), *options]
        with self.log_path.open("ab") as log:
            initdb = spawn(command, output=log, account=account, cwd=Path("/"))
        try:
            status = initdb.wait(INITDB_SECONDS)
        except subprocess.TimeoutExpired:
            initdb.kill()
            raise ServerFailed(self.name, f"initdb took {INITDB_SECONDS:.0f} s") from None
        finally:
            handed_over.unlink(missing_ok=True)
        if status != 0:
            raise ServerFailed(self.name, "initdb failed", log=self._log_since(log_start))
        half.rename(self._cluster)

    def _command(self, port: int) -> Sequence[str]:
        settings = {"port": str(port)} | self.settings
        words = (word for key, value in settings.items() for word in ("-c", f"{key}={value}"))
        return [str(self.bin_dir / "postgres"), "-D", str(self._cluster), *words]

    def _answers(self, port: int) -> bool:
        # Its own password: a stranger's server on this port is not taken for ours.
        try:
            self._connect(port).close()
        except psycopg.OperationalError:
            return False
        return True

    def _after_start(self, port: int) -> None:
        with self._connect(port) as connection:
            exists = connection.execute(
                "select from pg_database where datname = %s", [DATABASE]
            ).rowcount
            if not exists:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))

    def _connect(self, port: int) -> psycopg.Connection:
        return psycopg.connect(
            host=self.host,
            port=port,
            user=USER,
            password=self._the_password(),
            dbname="postgres",
            connect_timeout=PROBE_SECONDS,
            autocommit=True,
        )

    @property
    def _password_path(self) -> Path:
        return self.data_dir / "password"

    def _the_password(self) -> str:
        if self._password is None:
            self._password = self._password_path.read_text(encoding="ascii").strip()
        return self._password


def write_secret(path: Path, text: str) -> None:
    """Write a file that nobody but its owner can read, not even for a moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
