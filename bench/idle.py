"""`python -m bench.idle`: what a gateway and a worker ask of Postgres while nothing happens.

10,000 sessions in the store, 100 of them with a run at work and a viewer each; no events. Counted by a proxy for each
process (`rig/statements`).
"""

import argparse
import asyncio
import concurrent.futures
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from rich.console import Console
from rich.table import Table

from bench.rig.clocks import cpu_of
from bench.rig.statements import Statements, counted
from holdfast.events.migrate import migrate
from holdfast.local.ladder import postgres_server, redis_server
from holdfast.local.ports import free_port
from holdfast.local.server import Server

SESSIONS = 10_000
ACTIVE = 100
SECONDS = 30.0

# Claims, first events and the first head checks are over by then.
SETTLE_S = 8.0

ASKING = 16
READY_S = 60.0

# Between a run's first piece and its second: at work, and silent for as long as is measured.
SILENCE_MS = 60_000.0


@dataclass(frozen=True, slots=True)
class Idle:
    """What one process asked for, by statement, over so many seconds, and its CPU."""

    who: str
    seconds: float
    statements: Counter[str]
    cpu_s: float

    @property
    def per_second(self) -> float:
        return self.statements.total() / self.seconds


class Pair:
    """One gateway and one worker over servers that are there, each behind its own counter."""

    def __init__(self, stack: ExitStack, database_url: str, redis_url: str, log: Path) -> None:
        self._log = log
        self.counters = {
            who: stack.enter_context(counted(database_url)) for who in ("gateway", "worker")
        }
        self.port = free_port()
        self.ops = free_port()
        common = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith("HOLDFAST_")
            },
            "HOLDFAST_REDIS_URL": redis_url,
            "HOLDFAST_UNSAFE_DEV": "1",
            "HOLDFAST_LOG_LEVEL": "warning",
            "HOLDFAST_DRAIN_S": "1",
            "HOLDFAST_STREAMS_PER_SESSION_MAX": "0",
            "HOLDFAST_SESSIONS_MAX": "2500",
            "HOLDFAST_WORKFLOWS": "holdfast.orchestrator.workflows.ticker",
        }
        self.processes = {
            "gateway": self._start(
                stack,
                "gateway",
                common | {"HOLDFAST_PORT": str(self.port)},
                self.counters["gateway"],
            ),
            "worker": self._start(
                stack,
                "orchestrator",
                common | {"HOLDFAST_OPS_PORT": str(self.ops)},
                self.counters["worker"],
            ),
        }
        self.http = stack.enter_context(
            httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False)
        )
        self._ready(f"http://127.0.0.1:{self.port}/readyz")
        self._ready(f"http://127.0.0.1:{self.ops}/readyz")

    def sessions(self, count: int) -> list[str]:
        """Make sessions."""
        return self._many([("/v1/sessions", {})] * count, "session_id")

    def runs(self, sessions: list[str], every_ms: float) -> list[str]:
        """Start a run in each, and wait until all are at work."""
        body = {"workflow": "ticker", "input": {"events": 100_000, "interval_ms": every_ms}}
        runs = self._many([(f"/v1/sessions/{s}/runs", body) for s in sessions], "run_id")
        deadline = time.monotonic() + READY_S
        for run in runs:
            while self.http.get(f"/v1/runs/{run}").json()["status"] != "running":
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{run} is not at work within {READY_S:g} s")
                time.sleep(0.05)
        return runs

    def watch(self, stack: ExitStack, sessions: list[str]) -> None:
        """Open a stream to each session and read whatever comes."""
        for session in sessions:
            viewer = stack.enter_context(socket.create_connection(("127.0.0.1", self.port)))
            viewer.sendall(
                f"GET /v1/sessions/{session}/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            )
            threading.Thread(target=_swallow, args=(viewer,), daemon=True).start()

    def measured(self, seconds: float) -> list[Idle]:
        """Count for a while."""
        before = {who: cpu_of([p.pid]) for who, p in self.processes.items()}
        for counter in self.counters.values():
            counter.taken()
        began = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        return [
            Idle(who, took, self.counters[who].taken(), cpu_of([process.pid]) - before[who])
            for who, process in self.processes.items()
        ]

    def _many(self, asked: Sequence[tuple[str, Mapping[str, object]]], field: str) -> list[str]:
        def ask(one: tuple[str, Mapping[str, object]]) -> str:
            answer = self.http.post(one[0], json=one[1])
            answer.raise_for_status()
            return answer.json()[field]

        with concurrent.futures.ThreadPoolExecutor(ASKING) as pool:
            return list(pool.map(ask, asked))

    def _start(
        self, stack: ExitStack, service: str, env: dict[str, str], through: Statements
    ) -> subprocess.Popen[bytes]:
        log = stack.enter_context((self._log / f"{service}.log").open("ab"))
        process = subprocess.Popen(
            [sys.executable, "-m", f"holdfast.{service}"],
            env={**env, "HOLDFAST_DATABASE_URL": through.url},
            stdout=log,
            stderr=log,
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        return process

    def _ready(self, url: str) -> None:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                if httpx2.get(url, timeout=2, trust_env=False).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"{url} is not ready within {READY_S:g} s; see {self._log}")
            time.sleep(0.1)


def measure(
    database_url: str,
    redis_url: str,
    log: Path,
    *,
    sessions: int,
    active: int,
    seconds: float,
    every_ms: float = SILENCE_MS,
) -> list[Idle]:
    """Bring sessions, runs and viewers there, let them come to rest, and count."""
    with ExitStack() as stack:
        pair = Pair(stack, database_url, redis_url, log)
        made = pair.sessions(sessions)
        pair.runs(made[:active], every_ms)
        pair.watch(stack, made[:active])
        time.sleep(SETTLE_S)
        return pair.measured(seconds)


def alone(
    work: Path,
    *,
    sessions: int = SESSIONS,
    active: int = ACTIVE,
    seconds: float = SECONDS,
    every_ms: float = SILENCE_MS,
) -> list[Idle]:
    """Measure over servers of its own, in a folder of its own."""
    work.chmod(0o755)
    with ExitStack() as stack:
        redis = stack.enter_context(_running(redis_server(work / "redis")))
        postgres = stack.enter_context(_running(postgres_server(work / "postgres")))
        asyncio.run(migrate(postgres))
        return measure(
            postgres,
            redis,
            work,
            sessions=sessions,
            active=active,
            seconds=seconds,
            every_ms=every_ms,
        )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--active", type=int, default=ACTIVE)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument(
        "--every-ms", type=float, default=SILENCE_MS, help="between two events of a run"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="holdfast-idle-") as folder:
        found = alone(
            Path(folder),
            sessions=asked.sessions,
            active=asked.active,
            seconds=asked.seconds,
            every_ms=asked.every_ms,
        )
    _print(found, asked)
    return 0


def _print(found: list[Idle], asked: argparse.Namespace) -> None:
    table = Table(
        title=f"{asked.sessions:,} sessions known, {asked.active} with a run and a viewer,"
        f" an event of each every {asked.every_ms / 1000:g} s"
    )
    table.add_column("who")
    table.add_column("statement", overflow="ellipsis", no_wrap=True)
    table.add_column("per s", justify="right")
    for idle in found:
        for text, count in idle.statements.most_common():
            table.add_row(idle.who, text, f"{count / idle.seconds:.2f}")
        cpu = f"all; CPU {idle.cpu_s / idle.seconds * 100:.1f} % of a core"
        table.add_row(idle.who, cpu, f"{idle.per_second:.2f}", style="bold")
        table.add_section()
    Console(width=None if sys.stdout.isatty() else 140).print(table)


@contextmanager
def _running(server: Server) -> Generator[str]:
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def _swallow(viewer: socket.socket) -> None:
    try:
        while viewer.recv(65536):
            pass
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main())
