"""A tiny process that ends what a crashed supervisor left running, and then itself.

It reads the list of processes from a pipe and keeps the latest. When the pipe closes, the
supervisor is gone, however it went: what is on the list is ended in order, politely first. On Linux
the kernel's death signal has usually been faster; the guard is for other systems, and for who
ignores signals. At last it empties `processes.json`: nobody else is left to say that all are gone.

    python -m holdfast.local.guard DATA_DIR < PIPE
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from holdfast.local.data_dir import write_processes
from holdfast.local.errors import GuardFailed
from holdfast.local.processes import ProcessId

POLL_SECONDS = 0.02

# How long the guard may take to leave after an empty list: it has nothing to do but to exit.
LEAVE_SECONDS = 5.0


@dataclass(frozen=True)
class Ward:
    """A process to end: the lowest stage first, with this signal, and SIGKILL `seconds` later."""

    pid: int
    started: str
    stage: int
    signal: int
    seconds: float


def end(wards: Sequence[Ward]) -> None:
    """End all of them, stage by stage; a stage begins when the one before it is down."""
    for stage in sorted({ward.stage for ward in wards}):
        members = [
            (ward, ProcessId(ward.pid, ward.started)) for ward in wards if ward.stage == stage
        ]
        begun = time.monotonic()
        for ward, process in members:
            process.send(signal.Signals(ward.signal))
        killed: set[int] = set()
        while members := [(ward, process) for ward, process in members if process.is_alive()]:
            for ward, process in members:
                if ward.pid not in killed and time.monotonic() > begun + ward.seconds:
                    process.send(signal.SIGKILL)
                    killed.add(ward.pid)
            time.sleep(POLL_SECONDS)


def main() -> None:
    """Keep the latest list until the pipe closes, then end what is on it."""
    # Only the end of the supervisor ends the guard.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # From here on nobody takes it for gone; what it says on stderr has no reader later on.
    os.write(sys.stdout.fileno(), b"on guard\n")
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    wards: list[Ward] = []
    for line in sys.stdin.buffer:
        # A line cut short by the crash has no end: the list before it stands.
        if line.endswith(b"\n"):
            wards = [Ward(**ward) for ward in json.loads(line)]
    end(wards)
    # The lock is still held here. A directory that somebody has deleted meanwhile lists nothing.
    with suppress(OSError):
        write_processes(Path(sys.argv[1]), [])


class Guard:
    """The supervisor's end of the pipe.

    `keep_open` is a descriptor the guard inherits and so holds until it leaves: the lock of
    `data_dir`.
    """

    def __init__(self, keep_open: int, data_dir: Path) -> None:
        self._keep_open, self._data_dir = keep_open, data_dir.absolute()
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(self._data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self._keep_open],
            cwd=Path("/"),
            start_new_session=True,
        )
        assert process.stdout is not None
        with process.stdout as said:
            if not said.readline():
                raise GuardFailed(process.wait())
        return process

    @property
    def pid(self) -> int:
        """The guard's own process."""
        return self._process.pid

    def tell(self, wards: Sequence[Ward]) -> None:
        """Hand over the list; a guard that somebody killed is replaced."""
        line = json.dumps([asdict(ward) for ward in wards]).encode() + b"\n"
        try:
            self._write(line)
        except OSError:
            self._reap()
            self._process = self._start()
            self._write(line)

    def _write(self, line: bytes) -> None:
        pipe = self._pipe()
        pipe.write(line)
        pipe.flush()

    def dismiss(self) -> None:
        """Let it go with nothing left to end; returns when it has gone."""
        # One that somebody killed needs no successor for this.
        with suppress(OSError):
            self._write(b"[]\n")
        self._reap()

    def take_over(self) -> None:
        """Let it end what it was told of last, as after a crash; it goes on when we are gone."""
        with suppress(OSError):
            self._pipe().close()

    def _reap(self) -> None:
        with suppress(OSError):
            self._pipe().close()
        try:
            self._process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _pipe(self) -> IO[bytes]:
        pipe = self._process.stdin
        assert pipe is not None
        return pipe


if __name__ == "__main__":
    main()
