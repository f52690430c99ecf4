"""The data directory of one local stack: its lock, its logs, and the list of its processes.

The lock is held by an open file, not by a file's existence, so a crash cannot leave it behind. The
guard inherits it: the directory stays taken until the last server of a crashed supervisor is down.
"""

import fcntl
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TypedDict

from holdfast.local.errors import DataDirTaken
from holdfast.local.processes import ProcessId

# A crashed supervisor's guard may still be ending its servers: Postgres is given 20 s, plus kills.
GUARD_SECONDS = 40.0
POLL_SECONDS = 0.05

# One earlier log is kept, so a service's logs end at 20 MB.
LOG_BYTES_MAX = 10 * 1024 * 1024


class ProcessEntry(TypedDict):
    """One process of `processes.json`; `pid` is null while it is down, or if given by URL."""

    name: str
    pid: int | None
    address: str


def write_processes(data_dir: Path, entries: Sequence[ProcessEntry]) -> None:
    """Replace `processes.json`, whole. Only for who holds the lock: the supervisor, then its guard."""
    path = data_dir / "processes.json"
    half = path.with_name("processes.json.new")
    half.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    half.replace(path)


class DataDir:
    """A data directory that this process alone uses. Raises DataDirTaken if another one does."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()

    def _take_lock(self) -> IO[str]:
        lock = (self.path / "lock").open("a+", encoding="ascii")
        deadline = time.monotonic() + GUARD_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.seek(0)
                pid, _, started = lock.read().strip().partition(" ")
                alive = pid.isdigit() and ProcessId(int(pid), started).is_alive()
                # Its owner crashed and its guard is at work: the directory is free in a moment.
                if alive or time.monotonic() > deadline:
                    lock.close()
                    raise DataDirTaken(self.path, pid or "unknown") from None
                time.sleep(POLL_SECONDS)
            else:
                break
        me = ProcessId.of(os.getpid())
        assert me is not None
        lock.truncate(0)
        lock.write(f"{me.pid} {me.started}\n")
        lock.flush()
        return lock

    @property
    def lock_descriptor(self) -> int:
        """What a child has to inherit in order to hold the lock after us."""
        return self._lock.fileno()

    def log_of(self, name: str) -> Path:
        """Return the log file of a process; one that has grown too long is put aside first."""
        path = self.logs / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_suffix(".log.1"))
        return path

    def write_processes(self, entries: Sequence[ProcessEntry]) -> None:
        """Replace `processes.json`; whoever reads it sees the old list or the new one, whole."""
        write_processes(self.path, entries)

    def release(self) -> None:
        """Let the next one in."""
        self._lock.close()
