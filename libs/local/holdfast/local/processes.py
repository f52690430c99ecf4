"""Child processes that never outlive their parent, and pids that never name another process.

A pid alone names nobody: the kernel hands it to the next process. Whatever is written down or
handed over is a pid with the moment its process started.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

_LAUNCHER = Path(__file__).with_name("launch.py")

# `ps` answers in milliseconds; one that hangs must not hang a shutdown.
PS_SECONDS = 5.0

_PROC_STAT_STATE = 0
_PROC_STAT_START_TIME = 19  # field 22 of proc(5), counted from the one after the name


class Account(NamedTuple):
    """The user a child runs as, where that is another than ours."""

    uid: int
    gid: int


def started_at(pid: int) -> str | None:
    """Return when the process with this pid started, as an opaque word, or None if none is alive.

    A zombie is not alive: it holds nothing but its pid.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        # The name, in parentheses, may itself hold spaces and parentheses.
        fields = stat.rpartition(")")[2].split()
        if fields[_PROC_STAT_STATE] in ("Z", "X"):
            return None
        return fields[_PROC_STAT_START_TIME]
    answer = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PS_SECONDS,
        env={"LC_ALL": "C"},
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


@dataclass(frozen=True)
class ProcessId:
    """One process, for ever: a pid together with the moment its process started."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """Name the process that has this pid now; None if there is none."""
        started = started_at(pid)
        return None if started is None else cls(pid, started)

    def is_alive(self) -> bool:
        """Tell whether this very process still runs."""
        return started_at(self.pid) == self.started

    def send(self, number: signal.Signals) -> bool:
        """Signal this very process; False if it is gone. Another one with its pid is never hit."""
        if sys.platform == "linux":
            try:
                handle = os.pidfd_open(self.pid)
            except OSError:
                return False
            # The handle holds one process: if the start time is right now, it is right at the
            # signal.
            try:
                if not self.is_alive():
                    return False
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
                    return True
                return False
            finally:
                os.close(handle)
        # Elsewhere the process could end between the look and the signal; its pid is not reused so
        # soon.
        if not self.is_alive():
            return False
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False


class _Spawner:
    """The one thread that starts children.

    Linux sends the death signal when the *thread* that forked ends, and threads of a pool end when
    they have been idle. This one is a daemon: it ends with the process and not a moment earlier.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[
            tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]
        ] = queue.SimpleQueue()
        self.owner = os.getpid()
        threading.Thread(target=self._serve, name="holdfast-spawner", daemon=True).start()

    def _serve(self) -> None:
        while True:
            call, answer = self._calls.get()
            try:
                answer.set_result(call())
            except BaseException as error:  # noqa: BLE001 (handed to the caller, whatever it is)
                answer.set_exception(error)

    def __call__(self, call: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._calls.put((call, answer))
        return answer.result()


_spawner: _Spawner | None = None
_spawner_lock = threading.Lock()


def _the_spawner() -> _Spawner:
    global _spawner
    with _spawner_lock:
        # A forked copy of this process has no threads but its own.
        if _spawner is None or _spawner.owner != os.getpid():
            _spawner = _Spawner()
        return _spawner


def spawn(
    command: Sequence[str],
    *,
    output: int | IO[bytes],
    death_signal: signal.Signals = signal.SIGKILL,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child that gets `death_signal` when this process dies, however it dies (Linux).

    It leads a session of its own, so that Ctrl-C in the terminal reaches the parent only, who ends
    its children in order. `output` takes both stdout and stderr. Raises OSError if nothing could be
    started; a command that can't be run ends with status 127 and says so in its output.
    """
    uid, gid = account or (-1, -1)
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER)]
    words = [str(os.getpid()), str(int(death_signal)), str(uid), str(gid)]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*launcher, *words, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )

    return _the_spawner()(start)
