"""An orchestrator or a gateway as a child process: its ports, its environment, its output."""

import http.client
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, ClassVar

from holdfast.local.data_dir import LOG_BYTES_MAX
from holdfast.local.ports import LOOPBACK
from holdfast.local.processes import spawn

# Streams are closed in waves and steps in progress recorded: 15 s as shipped, and 5 s of grace.
STOP_SECONDS = 20.0

# SIGKILL cannot be refused; a process that takes longer hangs in the kernel.
KILL_SECONDS = 10.0

# /readyz asks nobody else, so an answer takes milliseconds.
READY_SECONDS = 1.0

# A longer line is passed on in pieces: a service can't make us hold what it prints.
LINE_BYTES_MAX = 64 * 1024

_WILDCARDS = {"0.0.0.0": LOOPBACK, "::": "::1", "": LOOPBACK}  # noqa: S104 (read, not bound)


class Service:
    """One child whose readiness is `GET /readyz` on `host:port`.

    What it prints goes to `log` and, unless `quiet`, to stderr with its name in front.
    """

    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]] = (
        (signal.SIGTERM, STOP_SECONDS),
    )

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        host: str,
        port: int,
        log: Path,
        quiet: bool = False,
    ) -> None:
        self.name = name
        self.host, self.port = _WILDCARDS.get(host, host), port
        self._command, self._env = list(command), dict(env)
        self._log, self._quiet = log, quiet
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port`, as a client on this machine reaches it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Its process while it runs."""
        return self._process.pid if self._process is not None and self.is_running() else None

    def is_running(self) -> bool:
        """Tell whether its process lives; says nothing about whether it is ready."""
        return self._process is not None and self._process.poll() is None

    def is_ready(self) -> bool:
        """Tell whether it says that it serves."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=READY_SECONDS)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def start(self) -> None:
        """Start it; it is ready some time later."""
        # SIGKILL at our death: a service is built to lose nothing by it, and nobody would listen
        # to its farewell.
        self._process = spawn(
            self._command, output=subprocess.PIPE, death_signal=signal.SIGKILL, env=self._env
        )
        output = self._process.stdout
        assert output is not None
        threading.Thread(
            target=self._pass_on, args=(output,), name=f"output-{self.name}", daemon=True
        ).start()

    def _pass_on(self, output: IO[bytes]) -> None:
        prefix = f"{self.name} | ".encode()
        written = self._log.stat().st_size if self._log.exists() else 0
        log = self._log.open("ab", buffering=0)
        try:
            while line := output.readline(LINE_BYTES_MAX):
                if written > LOG_BYTES_MAX:
                    log.close()
                    self._log.replace(self._log.with_suffix(".log.1"))
                    log, written = self._log.open("ab", buffering=0), 0
                # A full disk must not stop the child at its next print.
                with suppress(OSError):
                    written += log.write(line)
                if not self._quiet:
                    with suppress(OSError, ValueError):
                        sys.stderr.buffer.write(prefix + line)
                        sys.stderr.buffer.flush()
        finally:
            log.close()
            output.close()

    def give_up(self) -> None:
        """Nothing: its start doesn't wait for anything."""

    def stop(self) -> None:
        """End it politely; one that overstays its deadline is killed."""
        process = self._process
        if process is None:
            return
        for number, seconds in self.stop_signals:
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
                return
        self.kill_soon()
        process.wait(KILL_SECONDS)

    def kill_soon(self) -> None:
        """Send the SIGKILL and don't wait; safe to call while another thread stops it."""
        if self._process is not None:
            self._process.kill()
