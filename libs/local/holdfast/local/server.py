"""What a local server is, and the life they share: start, answer, stop, be killed, come back."""

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Container, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Protocol, Self

from holdfast.local.errors import PortTaken, ServerFailed
from holdfast.local.ports import LOOPBACK, free_port, is_free
from holdfast.local.processes import Account, spawn

# After a kill -9 of a postmaster with a busy backend, eleven starts failed over 2 s and the twelfth
# held.
START_SECONDS = 30.0

# Long enough for a predecessor of ours that is still dying; a stranger on the port is reported
# soon.
PORT_SECONDS = 5.0

# A server is up in 50 to 300 ms: 50 looks a second add 20 ms at most.
POLL_SECONDS = 0.02

# Between two starts that failed at once: ten tries a second at most.
RETRY_SECONDS = 0.1

# SIGKILL cannot be refused; a process that takes longer hangs in the kernel.
KILL_SECONDS = 10.0

# The end of a log in an error message: the reason is in its last lines.
LOG_LINES_MAX = 15


class Server(Protocol):
    """A Redis or Postgres that answers under one URL; started by us or given."""

    name: str

    @property
    def url(self) -> str:
        """Where it answers. The same before and after a restart."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process while it runs; None if it is down or not ours."""
        ...

    @property
    def version(self) -> str:
        """Its version as it says it, such as `7.0.15`."""
        ...

    def start(self) -> None:
        """Return when it answers. Raises ServerFailed or PortTaken."""
        ...

    def stop(self) -> None:
        """End it cleanly, with a deadline; nothing to do if it is down."""
        ...

    def kill(self) -> None:
        """End it as a crash would."""
        ...

    def restart(self) -> None:
        """Start it again, on its port and its data, whether it is up, down or just killed."""
        ...


class ChildServer(ABC):
    """A real server as a child process with its data in a directory.

    Not thread-safe: one owner starts and stops it. The port, once it has answered there, is kept
    for the life of the object, so that clients find it again after a restart.
    """

    name: str
    # (signal, seconds to wait for it), tried in order until the process is gone.
    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]]
    death_signal: ClassVar[signal.Signals]
    # Words in the log that make another try worthwhile: a predecessor has not quite gone.
    passing_failures: ClassVar[Sequence[str]] = ()

    def __init__(self, data_dir: Path, *, port: int | None = None) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.port = port
        self.host = LOOPBACK
        self._process: subprocess.Popen[bytes] | None = None
        self._account: Account | None = None
        self._given_up = False
        # Ports that a first start leaves to others.
        self.avoid: Container[int] = ()
        # Where the server writes what it has to say; may be set before the first start.
        self.log_path = self.data_dir / f"{self.name}.log"

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it answers. The same before and after a restart."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Its version as it says it, such as `7.0.15`."""

    @abstractmethod
    def _command(self, port: int) -> Sequence[str]:
        """The command that serves the data on this port, in the foreground."""

    @abstractmethod
    def _answers(self, port: int) -> bool:
        """Tell whether our own process serves on this port, and serves fully."""

    def _prepare(self) -> None:  # noqa: B027 (Redis needs nothing)
        """Make the data ready for a start. Called before each, with `data_dir` there."""

    def _after_start(self, port: int) -> None:  # noqa: B027 (Redis needs nothing)
        """Finish what a first start needs. Called after each, with the server answering."""

    @property
    def address(self) -> str:
        """`host:port` once it has a port."""
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Its process while it runs."""
        return self._process.pid if self._process is not None and self.is_running() else None

    def is_running(self) -> bool:
        """Tell whether its process lives; says nothing about whether it answers."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return when it answers; nothing to do if it already runs."""
        if self.is_running():
            return
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._prepare()
        deadline = time.monotonic() + START_SECONDS
        port_deadline = time.monotonic() + PORT_SECONDS
        while True:
            port = self.port if self.port is not None else free_port(self.host, avoid=self.avoid)
            log_start = self._log_size()
            if self._start_once(port, deadline):
                self.port = port
                self._after_start(port)
                return
            said = self._log_since(log_start)
            if self._is_about_the_port(said, port):
                if self.port is not None and time.monotonic() > port_deadline:
                    raise PortTaken(self.name, self.host, port)
            elif not any(words in said for words in self.passing_failures):
                raise ServerFailed(self.name, "it ended at once", log=_tail(said))
            if time.monotonic() > deadline:
                raise ServerFailed(
                    self.name, f"no start held in {START_SECONDS:.0f} s", log=_tail(said)
                )
            self._unless_given_up()
            time.sleep(RETRY_SECONDS)

    def give_up(self) -> None:
        """Make a start that is under way in another thread fail soon, and any later one at once."""
        self._given_up = True

    def _unless_given_up(self) -> None:
        if self._given_up:
            raise ServerFailed(self.name, "it is no longer wanted")

    def _start_once(self, port: int, deadline: float) -> bool:
        self._unless_given_up()
        with self.log_path.open("ab") as log:
            self._process = spawn(
                self._command(port),
                output=log,
                death_signal=self.death_signal,
                account=self._account,
                cwd=Path("/"),
            )
        try:
            while self._process.poll() is None:
                if self._answers(port):
                    return True
                if time.monotonic() > deadline:
                    said = _tail(self._log_since(0))
                    raise ServerFailed(self.name, f"no answer in {START_SECONDS:.0f} s", log=said)
                self._unless_given_up()
                time.sleep(POLL_SECONDS)
        except BaseException:
            self.kill()
            raise
        return False

    def stop(self) -> None:
        """End it cleanly; a server that overstays its deadlines is killed."""
        process = self._process
        if process is None:
            return
        for number, seconds in self.stop_signals:
            process.send_signal(number)  # does nothing once the process has been reaped
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
                return
        self.kill()

    def kill(self) -> None:
        """End it as a crash would: SIGKILL, nothing flushed, nothing said."""
        if self._process is not None:
            self.kill_soon()
            self._process.wait(KILL_SECONDS)

    def kill_soon(self) -> None:
        """Send the SIGKILL and don't wait; safe to call while another thread stops it."""
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        """Start it again on its port and its data, whether it is up, down or just killed."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _is_about_the_port(self, said: str, port: int) -> bool:
        if "address already in use" in said.lower():
            return True
        # Said nothing of use, and somebody else sits there: that is the reason.
        return not said.strip() and not is_free(port, self.host)

    def _log_size(self) -> int:
        try:
            return self.log_path.stat().st_size
        except FileNotFoundError:
            return 0

    def _log_since(self, offset: int) -> str:
        try:
            with self.log_path.open("rb") as log:
                log.seek(offset)
                return log.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""


def _tail(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-LOG_LINES_MAX:])
