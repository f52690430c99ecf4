"""A `holdfast dev` in a process of its own, to look at and to kill."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.request import urlopen

import psutil

T = TypeVar("T")

ROOT = Path(__file__).parents[2]

# Two servers, an initdb and four interpreters: 2 s, ten times that on a machine that is busy.
READY_SECONDS = 40.0
# A stubborn gateway is given 20 s before it is killed.
END_SECONDS = 40.0


def eventually(look: Callable[[], T], what: str, seconds: float = END_SECONDS) -> T:
    """The first truthy answer of `look`; a failure that names `what` if there is none in time."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return seen


class Dev:
    def __init__(
        self, data_dir: Path, *, env: dict[str, str] | None = None, **options: Any
    ) -> None:
        self.data_dir = data_dir
        words = json.dumps({"port": 0, "data_dir": str(data_dir), **options})
        data_dir.mkdir(parents=True, exist_ok=True)
        self._err = data_dir.with_suffix(".stderr")
        with self._err.open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.local.run_dev", words],
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                cwd=ROOT,
                # A server that the test run itself was given is not this stack's.
                env={k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_")}
                | (env or {}),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(END_SECONDS)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    def wait_ready(self) -> str:
        """The URL of the ready line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.fullmatch(r"ready (http://\S+)\n", line):
                return found[1]
        raise AssertionError(f"it ended with {self.process.wait()}:\n{self.stderr}")

    def wait_end(self) -> int:
        return self.process.wait(END_SECONDS)

    def processes(self) -> dict[str, dict[str, Any]]:
        entries = json.loads((self.data_dir / "processes.json").read_text())
        return {entry["name"]: entry for entry in entries}

    def pid(self, name: str) -> int | None:
        return self.processes().get(name, {}).get("pid")

    def wait_restarted(self, name: str, old: int) -> int:
        return eventually(
            lambda: (pid := self.pid(name)) not in (None, old) and pid, f"{name} restarted"
        )

    def family(self) -> list[psutil.Process]:
        """The supervisor and everything under it, each told apart from a later one with its pid."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]


def all_gone(family: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family)


def get(url: str) -> dict[str, Any]:
    with urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())
