"""Holdfast as it ships: `holdfast dev` with one gateway and one worker, everything switched on."""

import asyncio
import concurrent.futures
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2

from bench.contenders.contender import Pace
from bench.rig.clocks import pin
from holdfast.local.postgres_server import DATABASE, USER
from tests.e2e.stack import Stack
from tests.past import give_past

DRIP = Path(__file__).parents[1] / "drip.py"

# Limits are on and far away: 16,000 is what fits into the descriptors that a process has here.
SETTINGS = {
    "HOLDFAST_STREAMS_MAX": "16000",
    "HOLDFAST_STREAMS_PER_SESSION_MAX": "0",
    "HOLDFAST_SESSIONS_MAX": "2500",
    "HOLDFAST_LOG_LEVEL": "warning",
}

# A session's first event is its owner's: a worker looks for new ones every second, and is told of them besides.
OWNED_WITHIN_S = 30.0

# Runs are asked for by so many at a time.
ASKING = 16


class Holdfast:
    """The whole stack over a log with a past; the gateway has core 0 to itself, everybody else shares core 1."""

    name = "holdfast"

    def __init__(
        self, data_dir: Path, *, pinned: bool = True, arguments: Sequence[str] = ()
    ) -> None:
        self._stack = Stack(data_dir, "--quiet", str(DRIP), *arguments, **SETTINGS).ready()
        self.port = int(self._stack.url.rpartition(":")[2])
        self._http = httpx2.Client(base_url=self._stack.url, timeout=60)
        self._runs: list[str] = []
        self._windows: dict[str, str] = {}
        try:
            asyncio.run(give_past(self.database_url))
            if pinned:
                pin([entry["pid"] for entry in self._stack.processes().values()], 1)
                pin(self.pids, 0)
        except BaseException:
            self.stop()
            raise

    @property
    def pids(self) -> Sequence[int]:
        """The gateway."""
        return [self._stack.pid("gateway-1")]

    @property
    def beside(self) -> Sequence[int]:
        """The stack's Redis."""
        return [self._stack.pid("redis")]

    @property
    def workers(self) -> Sequence[int]:
        """The orchestrator."""
        return [
            p["pid"] for n, p in self._stack.processes().items() if n.startswith("orchestrator")
        ]

    @property
    def stack(self) -> Stack:
        """The stack itself, for what only Holdfast has."""
        return self._stack

    @property
    def database_url(self) -> str:
        """Where the stack's log is."""
        password = (self._stack.data_dir / "postgres" / "password").read_text().strip()
        address = self._stack.processes()["postgres"]["address"]
        return f"postgresql://{USER}:{password}@{address}/{DATABASE}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a service of ours beside the stack's own is told."""
        address = self._stack.processes()["redis"]["address"]
        return {
            **SETTINGS,
            "HOLDFAST_DATABASE_URL": self.database_url,
            "HOLDFAST_REDIS_URL": f"redis://{address}",
            "HOLDFAST_WORKFLOWS": str(DRIP),
        }

    def sessions(self, count: int) -> Sequence[str]:
        """Make sessions. Their first event follows, from whoever owns them."""

        def make(_: int) -> str:
            return self._post("/v1/sessions", {})["session_id"]

        with concurrent.futures.ThreadPoolExecutor(ASKING) as pool:
            return list(pool.map(make, range(count)))

    def path(self, session: str) -> str:
        """The session's stream, from the beginning."""
        return f"/v1/sessions/{session}/stream?after=0"

    def publish(self, sessions: Sequence[str], pace: Pace) -> None:
        """Start a run of `drip` in each."""

        def start(nth: int, session: str) -> str:
            wanted = {
                "events": pace.events,
                "every_us": pace.every_us,
                "begin_ns": pace.begin_of(nth, len(sessions)),
                "pad": pace.pad,
            }
            body = {"workflow": "drip", "input": wanted}
            return self._post(f"/v1/sessions/{session}/runs", body)["run_id"]

        with concurrent.futures.ThreadPoolExecutor(ASKING) as pool:
            self._runs = list(pool.map(start, range(len(sessions)), sessions))

    def window(self, session: str) -> str:
        """Return the key of the session's stream in Redis, which is made of a number that only Postgres knows."""
        deadline = time.monotonic() + OWNED_WITHIN_S
        while session not in self._windows:
            for key in self._stack.windows():
                first = self._stack.redis("XRANGE", key, "-", "+", "COUNT", 1)
                if first:
                    body = json.loads(first[0][1][b"b"])
                    self._windows[body["session_id"]] = key.decode()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{session} has no window after {OWNED_WITHIN_S:g} s")
        return self._windows[session]

    def settle(self, timeout_s: float) -> None:
        """Wait until every run has ended."""
        deadline = time.monotonic() + timeout_s
        for run in self._runs:
            while self._http.get(f"/v1/runs/{run}").json()["status"] != "completed":
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{run} has not completed within {timeout_s:g} s")
                time.sleep(0.05)

    def stop(self) -> None:
        """End the stack."""
        self._http.close()
        self._stack.stop()

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()
