"""A real Redis or Valkey as a child process, set up as Holdfast wants it in production."""

import re
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

from holdfast.local.server import ChildServer

# `--version` prints one line and ends.
VERSION_SECONDS = 10.0

# A probe of a server on the same machine; its answer to INFO is about 5 KB.
PROBE_SECONDS = 1.0
PROBE_BYTES_MAX = 64 * 1024

SETTINGS: Mapping[str, str] = {
    "daemonize": "no",
    # Under any other policy Redis drops windows of live sessions to make room, silently.
    "maxmemory-policy": "noeviction",
    # The window survives a restart; at most the last second of it is lost in a crash, and
    # republished.
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    # Loopback only, so protected mode protects nothing and refuses what reaches us through a proxy.
    "protected-mode": "no",
    # To stdout, which is the log file: what goes wrong before the log opens is then in it too.
    "logfile": "",
}


@cache
def redis_version(binary: Path) -> str:
    """Return what `binary --version` calls itself, such as `7.0.15`."""
    answer = subprocess.run(
        [str(binary), "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=VERSION_SECONDS,
    )
    found = re.search(r"\bv=(\d[\w.-]*)", answer.stdout)
    return found[1] if found else answer.stdout.strip()


class RedisServer(ChildServer):
    """A Redis on loopback with its append-only file in `data_dir`.

    `binary` is a redis-server or valkey-server, the first of the ladder by default; `settings` are
    added to the ones above (`{"maxmemory": "10mb"}`).
    """

    name = "redis"
    stop_signals: ClassVar = ((signal.SIGTERM, 10.0),)
    death_signal: ClassVar = signal.SIGTERM

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
            from holdfast.local.ladder import redis_binary

            binary = redis_binary()
        self.binary = Path(binary)
        self.settings = {**SETTINGS, **(settings or {})}

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:<port>/0`; the same over every restart."""
        return f"redis://{self.address}/0"

    @property
    def version(self) -> str:
        """The version of the program, such as `7.0.15`."""
        return redis_version(self.binary)

    def _command(self, port: int) -> Sequence[str]:
        settings = {"bind": self.host, "port": str(port), "dir": str(self.data_dir)}
        settings |= self.settings
        words = (word for key, value in settings.items() for word in (f"--{key}", value))
        return [str(self.binary), *words]

    def _answers(self, port: int) -> bool:
        info = redis_info(self.host, port)
        # A stranger may answer on the port while ours is still on its way to failing there; and one
        # that loads its file answers INFO but no command.
        pid = self._process.pid if self._process is not None else None
        return info.get("process_id") == str(pid) and info.get("loading") == "0"


def redis_info(host: str, port: int) -> dict[str, str]:
    """Return what INFO says, empty while nobody answers. Needs no client and no password."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_SECONDS) as probe:
            probe.sendall(b"INFO\r\n")
            answer = b""
            while len(answer) < PROBE_BYTES_MAX and not _is_whole(answer):
                chunk = probe.recv(PROBE_BYTES_MAX)
                if not chunk:
                    break
                answer += chunk
    except OSError:
        return {}
    lines = answer.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _is_whole(answer: bytes) -> bool:
    """A bulk string, `$<length>\\r\\n<bytes>\\r\\n`, or an error line."""
    head, end, body = answer.partition(b"\r\n")
    if not end:
        return False
    return not head.startswith(b"$") or len(body) >= int(head[1:]) + len(b"\r\n")
