"""Programs that read a stream, each in a process of its own behind a proxy of its own."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tests.interop.measured_proxy import MeasuredProxy

HERE = Path(__file__).parent / "clients"
# What the npm clients want; an older one on the PATH is of no use to them.
NODE = Path(__file__).parents[2] / "node_modules" / ".bin" / "node"

PROGRAMS = {
    "npm eventsource": [str(NODE), str(HERE / "eventsource.mjs")],
    "npm eventsource-parser": [str(NODE), str(HERE / "eventsource_parser.mjs")],
    "npm @microsoft/fetch-event-source": [str(NODE), str(HERE / "fetch_event_source.mjs")],
    "PyPI httpx-sse": [sys.executable, str(HERE / "with_httpx_sse.py")],
    "curl -N": ["bash", str(HERE / "with_curl.sh")],
}


class Reader:
    """A running client. `events` grows as it prints; `end` is why it stopped."""

    def __init__(self, name: str, gateways: Sequence[str], path: str, cuts: Sequence[int]) -> None:
        assert NODE.exists(), "the npm clients are not installed: npm ci"
        self.events: list[tuple[int, str]] = []
        self.end: str | None = None
        self.errors: list[str] = []
        self.proxy = MeasuredProxy(gateways, cuts)
        self._process = subprocess.Popen(
            [*PROGRAMS[name], f"http://127.0.0.1:{self.proxy.port}{path}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._threads = [
            threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._complain, args=(self._process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def wait(self, *, within_s: float) -> bool:
        """Wait until it stops by itself; tell whether it did."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        for thread in self._threads:
            thread.join(5)
        return True

    def close(self) -> None:
        """End it, if it hasn't, and its proxy."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(5)
        for thread in self._threads:
            thread.join(5)
        self.proxy.close()

    def _read(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                id_, _, data = line.rstrip("\n").partition("\t")
                if id_ == "end":
                    self.end = data
                else:
                    self.events.append((int(id_), data))

    def _complain(self, lines: IO[str]) -> None:
        with lines:
            self.errors.extend(lines)
