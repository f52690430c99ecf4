"""The load: many SSE readers in one C process, which checks every connection and fails the run on any gap."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "load" / "load.c"

# 512 connects under way: more than that would measure the backlog of the listening socket.
IN_FLIGHT = 512


class LoadFailed(RuntimeError):
    """A connection saw a gap or a duplicate, was refused, ended early, or did not come to the end in time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What all readers together saw; times in seconds and milliseconds."""

    accept_s: float
    delivered: int
    elapsed_s: float
    cpu_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    bytes: int


def build(into: Path) -> Path:
    """Compile the load client once; return where it is."""
    program = into / "load"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        into.mkdir(parents=True, exist_ok=True)
        flags = ["-O2", "-std=c11", "-Wall", "-Wextra", "-o", str(program), str(SOURCE)]
        try:
            subprocess.run(["cc", *flags], check=True)
        except FileNotFoundError:
            sys.exit(
                "error: the load client is in C and there is no cc; on Debian: apt-get install gcc libc6-dev"
            )
    return program


class Readers:
    """A running load: `ready` once all are connected, `result` once all have seen `until`."""

    def __init__(
        self,
        program: Path,
        port: int,
        paths: Sequence[str],
        *,
        connections: int,
        until: int,
        timeout_s: float,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self._accept_s = 0.0
        self.process = subprocess.Popen(
            [
                str(program),
                "127.0.0.1",
                str(port),
                str(connections),
                str(in_flight),
                str(timeout_s),
                str(until),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{path}\n" for path in paths))
        self.process.stdin.close()

    def ready(self) -> float:
        """Wait until every connection has its response's head; return the seconds that took."""
        self._accept_s = float(self._line()["accept_s"])
        return self._accept_s

    def result(self) -> Seen:
        """Wait for the end. Raises LoadFailed when anything at all was not as it must be."""
        said = self._line()
        if "ready" in said:
            self._accept_s = float(said["accept_s"])
            said = self._line()
        self.process.wait(10)
        if not said["good"]:
            raise LoadFailed(json.dumps(said))
        return Seen(
            accept_s=self._accept_s,
            **{name: said[name] for name in Seen.__slots__ if name != "accept_s"},
        )

    def stop(self) -> None:
        """End it, whatever it has seen."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise LoadFailed(f"the load client ended without a word, with {self.process.wait(10)}")
        return json.loads(line)
