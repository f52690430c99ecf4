"""The whole stack as its users start it: `holdfast dev` in a process of its own, killed and looked at from outside."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2

# The first start runs initdb and imports LangGraph: some ten seconds on a busy machine.
READY_S = 60.0

T = TypeVar("T")


def eventually(what: str, check: Callable[[], T | None], *, within_s: float = 20.0) -> T:
    """Return the first result of `check` that is neither None nor False; fail after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        found = check()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(0.05)


class Stack:
    """A running `holdfast dev`."""

    def __init__(self, data_dir: Path, *arguments: str, **environment: str) -> None:
        self.data_dir = data_dir
        self._log = (data_dir.parent / f"{data_dir.name}.log").open("ab")
        command = [sys.executable, "-m", "holdfast.cli", "dev", "--data-dir", str(data_dir)]
        self.process = subprocess.Popen(
            [*command, "--port", "0", *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def ready(self) -> "Stack":
        """Wait for the ready line."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + READY_S
        for line in self.process.stdout:
            if line.startswith("ready http://"):
                return self
            if time.monotonic() > deadline:
                break
        raise AssertionError(
            f"no ready line; see {self._log.name}: {Path(self._log.name).read_text()[-2000:]}"
        )

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return what `processes.json` lists, by name."""
        listed = json.loads((self.data_dir / "processes.json").read_text())
        return {entry["name"]: entry for entry in listed}

    @property
    def gateways(self) -> list[str]:
        """The base URLs of the gateways."""
        found = sorted((n, p) for n, p in self.processes().items() if n.startswith("gateway-"))
        return [f"http://{entry['address'].removeprefix('http://')}" for _, entry in found]

    @property
    def url(self) -> str:
        """The base URL of the first gateway."""
        return self.gateways[0]

    def pid(self, name: str) -> int:
        """Return the pid of the process called `name`."""
        return int(self.processes()[name]["pid"])

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to one process; return its pid."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def replaced(self, name: str, pid: int, *, within_s: float = 60.0) -> None:
        """Wait until the supervisor has started another process in place of the one with `pid`."""
        eventually(
            f"{name} is back",
            lambda: self.processes()[name]["pid"] not in (None, pid),
            within_s=within_s,
        )

    def redis(self, *command: str | bytes | int) -> Any:
        """Send one command to the stack's Redis."""
        import redis

        host, _, port = self.processes()["redis"]["address"].rpartition(":")
        client = redis.Redis(host=host, port=int(port))
        try:
            return client.execute_command(*command)
        finally:
            client.close()

    def windows(self) -> list[bytes]:
        """Return the keys of all windows."""
        return list(self.redis("KEYS", "hf:*:events"))

    def start(self, workflow: str, input: Any, *, session: str | None = None) -> dict[str, Any]:
        """Ask for a run; return the answer."""
        path = f"/v1/sessions/{session}/runs" if session else "/v1/runs"
        answer = httpx2.post(
            f"{self.url}{path}", json={"workflow": workflow, "input": input}, timeout=10
        )
        assert answer.status_code == 202, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        """Return the JSON at `path`."""
        answer = httpx2.get(f"{self.url}{path}", timeout=10)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    def ended(self, run_id: str, *, within_s: float = 30.0) -> dict[str, Any]:
        """Wait for a run's end; return its row."""

        def look() -> dict[str, Any] | None:
            run = self.get(f"/v1/runs/{run_id}")
            return run if run["status"] in ("completed", "failed", "cancelled") else None

        return eventually(f"{run_id} ends", look, within_s=within_s)

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Cancel a run and wait for its end; return its row."""
        answer = httpx2.post(f"{self.url}/v1/runs/{run_id}/cancel", json={}, timeout=10)
        assert answer.status_code in (200, 202), answer.text
        return self.ended(run_id)

    def history(self, session: str) -> list[bytes]:
        """Return the session's whole log as its wire lines, from the JSON pages, bytes untouched."""
        lines: list[bytes] = []
        after = 0
        while True:
            answer = httpx2.get(
                f"{self.url}/v1/sessions/{session}/events",
                params={"after": after, "limit": 500},
                timeout=10,
            )
            page = answer.json()
            lines.extend(_items(answer.content))
            if after >= page["head"] or page["next_after"] == after:
                return lines
            after = page["next_after"]

    def stop(self) -> int:
        """End the stack as Ctrl-C does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
            self._log.close()


def _items(body: bytes) -> list[bytes]:
    """Cut a page's items out of its bytes: decoding and encoding again would hide a difference."""
    start = body.index(b'"items":[') + len(b'"items":[')
    items: list[bytes] = []
    depth, begin, quoted, escaped = 0, start, False, False
    for i in range(start, len(body)):
        char = body[i : i + 1]
        if quoted:
            if escaped:
                escaped = False
            elif char == b"\\":
                escaped = True
            elif char == b'"':
                quoted = False
        elif char == b'"':
            quoted = True
        elif char in b"{[":
            if depth == 0:
                begin = i
            depth += 1
        elif char in b"}]":
            if depth == 0:
                break
            depth -= 1
            if depth == 0:
                items.append(body[begin : i + 1])
    return items


@contextmanager
def running(data_dir: Path, *arguments: str, **environment: str) -> Generator[Stack]:
    """Run a stack for the length of a with block."""
    stack = Stack(data_dir, *arguments, **environment)
    try:
        yield stack.ready()
    finally:
        stack.stop()
