"""The loads of the write path. Each runs once, checks all that it wrote or read, and returns what it took."""

import concurrent.futures
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from bench import loads
from bench.contenders.contender import Contender
from bench.contenders.holdfast import Holdfast
from bench.rig.clocks import cpu_of, cpu_s
from bench.writing.graph import TOKENS
from bench.writing.servers import Servers
from bench.writing.starts import Starts, measure

Result = dict[str, Any]
Run = Callable[[], Result]

PRODUCERS = 200

# A session each, of which nobody reads more than one.
READERS = 100

# Graphs at once: as many conversations as one small worker has at a busy moment.
GRAPHS = 20


# What 20 graphs may take to speak 4,000 tokens on a machine that does other things as well.
FOLLOWED_S = 90.0


class Wrong(RuntimeError):
    """What was written is not what there is."""


def append(servers: Servers, who: str, *, seconds: float) -> Result:
    """200 producers, each waiting for its commit; then look whether the log has each event once, in order."""
    redis = [servers.redis.pid] if servers.redis.pid else []
    before = cpu_of(redis)
    program = [sys.executable, "-m", "bench.writing.appenders", who]
    asked = [servers.database_url, servers.redis_url, "--seconds", str(seconds)]
    done = subprocess.run(
        ["taskset", "-c", "1", *program, *asked, "--producers", str(PRODUCERS)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    _check(servers.database_url, said["sessions"], at_least=said["events"])
    events = said["events"]
    return {
        "events_s": events / said["seconds"],
        "cpu_us": said["cpu_s"] / events * 1e6,
        "redis_us": (cpu_of(redis) - before) / events * 1e6,
        **{name: said[name] for name in ("p50_ms", "p99_ms", "max_ms")},
    }


def _check(database_url: str, sessions: Sequence[int], *, at_least: int) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            """select session, count(*), min(seq), max(seq),
                      array_agg((convert_from(body, 'UTF8')::json -> 'data' ->> 'n')::int order by seq)
                          filter (where type = 'custom.bench.drop')
                 from events where session = any(%s) group by session""",
            [list(sessions)],
        ).fetchall()
    for session, count, first, last, numbers in rows:
        if (first, last) != (1, count) or numbers != list(range(1, len(numbers) + 1)):
            raise Wrong(f"session {session}: {count} events from {first} to {last}")
    if (found := sum(len(row[4]) for row in rows)) < at_least:
        raise Wrong(f"{at_least} commits were waited for, the log has {found} events")


def delivery(contender: Contender, program: Path, *, rate: float, seconds: float) -> Result:
    """Emit → client at a steady pace; the readers check that each event comes once, in order."""
    workers = contender.workers if isinstance(contender, Holdfast) else ()
    before = cpu_of(workers)
    run = loads.paced(
        sessions=READERS, clients=READERS, rate=rate, seconds=seconds, program=program
    )
    cost = run(contender)
    return {
        "p50_ms": cost.p50_ms,
        "p99_ms": cost.p99_ms,
        "gateway_us": cost.gateway_us,
        # With what it took to start the runs and to end them.
        "worker_us": (cpu_of(workers) - before) / cost.delivered * 1e6,
    }


def starts(holdfast: Holdfast, load: Starts) -> Result:
    """Runs asked for at a steady pace, each session's stream open before."""
    return measure(holdfast, load)


def tokens(holdfast: Holdfast) -> Result:
    """A LangGraph graph of 200 tokens, each an event of its own, followed by a client; CPU over the bare graph's."""
    bare = _bare_tokens()
    names = holdfast.sessions(GRAPHS)
    watched = [*holdfast.workers, *holdfast.pids]
    with tempfile.TemporaryDirectory() as folder:
        followed = _Followed(holdfast, names, Path(folder))
        try:
            followed.opened()
            before = {pid: cpu_s(pid) for pid in watched}
            began = time.monotonic()
            _start_at_once(holdfast, names)
            followed.ended()
            took = time.monotonic() - began
            used = {pid: cpu_s(pid) - before[pid] for pid in watched}
        finally:
            followed.stop()
    spoken = TOKENS * GRAPHS
    worker = sum(used[pid] for pid in holdfast.workers) / spoken * 1e6
    gateway = sum(used[pid] for pid in holdfast.pids) / spoken * 1e6
    return {
        "bare_us": bare,
        "worker_us": worker,
        "gateway_us": gateway,
        "over_us": worker + gateway - bare,
        "tokens_s": spoken / took,
    }


def _start_at_once(holdfast: Holdfast, names: Sequence[str]) -> None:
    """Ask for all runs before the first of them has ended."""
    with httpx2.Client(base_url=holdfast.stack.url, timeout=30) as client:

        def start(name: str) -> None:
            asked = {"workflow": "tokens", "input": {"question": "?"}}
            client.post(f"/v1/sessions/{name}/runs", json=asked).raise_for_status()

        with concurrent.futures.ThreadPoolExecutor(GRAPHS) as pool:
            list(pool.map(start, names))


class _Followed:
    """A client for each session, as a browser would have it open."""

    def __init__(self, holdfast: Holdfast, names: Sequence[str], folder: Path) -> None:
        self._files = {name: folder / name for name in names}
        self._clients: list[subprocess.Popen[bytes]] = []
        for name, file in self._files.items():
            with file.open("wb") as output:
                url = f"{holdfast.stack.url}{holdfast.path(name)}"
                self._clients.append(subprocess.Popen(["curl", "-sN", url], stdout=output))

    def opened(self) -> None:
        """Wait until all are told that they have caught up."""
        self._until(b"event: caught-up")

    def ended(self) -> None:
        """Wait until all have seen the end of the run. Raises Wrong when one has not seen it whole, once, in order."""
        self._until(b'"type":"run.completed"')
        for name, file in self._files.items():
            lines = file.read_bytes().splitlines()
            ids = [int(line[4:]) for line in lines if line.startswith(b"id: ")]
            deltas = sum(b'"type":"message.delta"' in line for line in lines)
            if ids != list(range(1, len(ids) + 1)) or deltas != TOKENS:
                raise Wrong(f"{name}: {len(ids)} ids, {deltas} of {TOKENS} tokens")

    def stop(self) -> None:
        """Hang up."""
        for client in self._clients:
            client.terminate()
            client.wait(10)

    def _until(self, said: bytes) -> None:
        deadline = time.monotonic() + FOLLOWED_S
        while not all(said in file.read_bytes() for file in self._files.values()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not every client was told {said!r}")
            time.sleep(0.1)


def _bare_tokens() -> float:
    done = subprocess.run(
        ["taskset", "-c", "1", sys.executable, "-m", "bench.writing.graph", str(GRAPHS)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    return said["cpu_s"] / said["tokens"] * 1e6


START_LOADS: Mapping[str, Callable[[float], Starts]] = {
    "POST → first event, 50 runs/s": lambda seconds: Starts(50, 100, seconds),
    "many short runs, 200/s": lambda seconds: Starts(200, 400, seconds),
    "few long runs, 1/s of 1,000 events": lambda seconds: Starts(1, 8, seconds, events=1000),
}
