"""Gateways and workers beside a stack, started as the command line starts them: one, or several with a supervisor."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx2

from bench.rig.clocks import family
from holdfast.local.ports import free_port

READY_S = 60.0


class Service:
    """A running `python -m holdfast.<name>`; `port` is where it says that it is ready."""

    def __init__(
        self, name: str, log: Path, environment: Mapping[str, str], *, processes: int = 1
    ) -> None:
        self.port = free_port()
        self._log = log
        own = {n: value for n, value in os.environ.items() if not n.startswith("HOLDFAST_")}
        where = "HOLDFAST_PORT" if name == "gateway" else "HOLDFAST_OPS_PORT"
        told = {where: str(self.port), "HOLDFAST_PROCESSES": str(processes)}
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"holdfast.{name}"],
                env={**own, "HOLDFAST_DRAIN_S": "1", **environment, **told},
                stdout=out,
                stderr=out,
            )
        self._wait(processes)

    @property
    def pids(self) -> Sequence[int]:
        """All of its processes, a supervisor among them."""
        return family(self._process.pid)

    def counted(self, name: str) -> float:
        """Return a counter of its metrics page."""
        page = self._get("/metrics")[1]
        found = re.findall(rf"^{name} (\S+)$", page, re.MULTILINE)
        if not found:
            raise LookupError(f"its metrics page has no {name}")
        return float(found[0])

    def stop(self) -> None:
        """End it in order."""
        self._process.terminate()
        self._process.wait(30)

    def _wait(self, processes: int) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers() and self._up() >= processes:
                return
            time.sleep(0.1)
        self._process.kill()
        self._process.wait()
        raise TimeoutError(f"not ready within {READY_S:g} s: {self._log.read_text()[-2000:]}")

    def _answers(self) -> bool:
        return self._get("/readyz")[0] == 200

    def _up(self) -> int:
        """Return how many processes serve; one that is alone says nothing of it."""
        found = re.findall(
            r"^holdfast_process_up\{.*\} (\d)$", self._get("/metrics")[1], re.MULTILINE
        )
        return sum(map(int, found)) if found else 1

    def _get(self, path: str) -> tuple[int, str]:
        try:
            answer = httpx2.get(f"http://127.0.0.1:{self.port}{path}", timeout=5, trust_env=False)
        except httpx2.HTTPError:
            return 0, ""
        return answer.status_code, answer.text
