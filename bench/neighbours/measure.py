"""One mode after the other on one stack: start the neighbours, let the hog burn, read the log.

A beat is a step that is due `pause_s` after the one before it. Its delay is what it was late, on the worker's own
clock; counted are the beats of the neighbours that fall into the time in which the hog burns.
"""

import concurrent.futures
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.stack import Stack, eventually

WORKFLOWS = Path(__file__).with_name("workflows.py")

# "calm" is the same without a hog: what the machine does to them anyhow.
MODES = ("calm", "process", "thread", "inline")

# The neighbours beat before the hog begins, and after it has ended.
LEAD_S = 3.0
TAIL_S = 3.0

# Runs are asked for by so many at a time.
ASKING = 16

# What an inline hog holds up is caught up with in seconds; this is for a machine with other things to do.
SETTLE_S = 120.0


@dataclass(frozen=True, slots=True)
class Blockade:
    """What the watchdog said."""

    blocked_s: float
    culprit: str
    stack: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one mode did to the neighbours."""

    mode: str
    runs: int
    completed: int
    attempts_max: int
    leases_lost: int
    beats: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    blockades: list[Blockade] = field(default_factory=list[Blockade])

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


class Neighbourhood:
    """A stack with one worker, and the runs on it."""

    def __init__(self, stack: Stack, *, runs: int, burn_s: float, pause_s: float) -> None:
        self._stack, self._runs = stack, runs
        self._burn_s, self._pause_s = burn_s, pause_s
        self._http = httpx2.Client(base_url=stack.url, timeout=60)

    def measure(self, mode: str, say: Callable[[str], object]) -> Outcome:
        """Run one mode to its end."""
        read = len(self._said())
        steps = int((LEAD_S + self._burn_s + TAIL_S) / self._pause_s) + 1
        say(f"{mode}: {self._runs - 1} neighbours of {steps} beats each")
        beat = {"steps": steps, "pause_s": self._pause_s}
        runs = self._each(lambda _: self._start("neighbour", beat), range(self._runs - 1))
        time.sleep(LEAD_S)
        if mode == "calm":
            begun = time.time()
            window = (begun, begun + self._burn_s)
        else:
            offload = None if mode == "inline" else mode
            say(f"{mode}: the hog burns for {self._burn_s:g} s")
            hog = self._start("hog", {"seconds": self._burn_s, "offload": offload})
            runs.append(hog)
            self._ended(hog)
            burning = [e for e in self._events(hog) if e["type"].startswith("step.")]
            window = (_moment(burning[0]), _moment(burning[-1]))
        say(f"{mode}: waiting for the neighbours' ends")
        rows = self._each(self._ended, runs)
        logs = self._each(self._events, [run for run in runs if run["workflow"] == "neighbour"])
        delays = sorted(delay for log in logs for delay in self._delays(log, window))
        return Outcome(
            mode=mode,
            runs=len(runs),
            completed=sum(row["status"] == "completed" for row in rows),
            attempts_max=max(row["attempts"] for row in rows),
            leases_lost=sum(e["type"] == "run.resumed" for log in logs for e in log),
            beats=len(delays),
            p50_ms=_quantile(delays, 0.5),
            p99_ms=_quantile(delays, 0.99),
            max_ms=delays[-1] if delays else 0.0,
            blockades=blockades(self._said()[read:]),
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _delays(self, log: Sequence[dict[str, Any]], window: tuple[float, float]) -> list[float]:
        """Return by how many ms the beats were late that were due while the hog burned."""
        begun, ended = window
        done = [_moment(e) for e in log if e["type"] == "step.completed"]
        return [
            max(0.0, (after - before - self._pause_s) * 1000)
            for before, after in itertools.pairwise(done)
            if begun <= before + self._pause_s <= ended
        ]

    def _start(self, workflow: str, input: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.post("/v1/runs", json={"workflow": workflow, "input": input})
        answer.raise_for_status()
        return answer.json() | {"workflow": workflow}

    def _ended(self, run: dict[str, Any]) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            row = self._http.get(f"/v1/runs/{run['run_id']}").raise_for_status().json()
            return row if row["status"] in ("completed", "failed", "cancelled") else None

        return eventually(f"{run['run_id']} ends", look, within_s=self._burn_s + SETTLE_S)

    def _events(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        path, found, after = f"/v1/sessions/{run['session_id']}/events", list[Any](), 0
        while True:
            asked = {"after": after, "limit": 500}
            page = self._http.get(path, params=asked).raise_for_status().json()
            found.extend(page["items"])
            if page["next_after"] == after or page["next_after"] >= page["head"]:
                return found
            after = page["next_after"]

    def _each(self, do: Callable[[Any], Any], items: Any) -> list[Any]:
        with concurrent.futures.ThreadPoolExecutor(ASKING) as pool:
            return list(pool.map(do, items))

    def _said(self) -> str:
        """Return what the worker has printed so far."""
        paths = sorted(self._stack.data_dir.rglob("orchestrator-1.log*"))
        return "".join(path.read_text(errors="replace") for path in paths)


def blockades(said: str) -> list[Blockade]:
    """Return what the watchdog said in a worker's log of JSON lines."""
    found: list[Blockade] = []
    for line in said.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("event") == "loop.blocked":
            stack = str(entry["stack"])
            found.append(Blockade(entry["blocked_s"], culprit_of(stack), stack))
        elif entry.get("event") == "loop.went-on" and found:
            last = found[-1]
            found[-1] = Blockade(entry["blocked_s"], last.culprit, last.stack)
    return found


def culprit_of(stack: str) -> str:
    """Return the innermost function of a stack, as `name (file:line)`."""
    frames = [line.strip() for line in stack.splitlines() if line.strip().startswith('File "')]
    if not frames:
        return "unknown"
    place, line, name = frames[-1].removeprefix('File "').split(", ")
    return f"{name.removeprefix('in ')} ({Path(place.rstrip(chr(34))).name}:{line.removeprefix('line ')})"


def _moment(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["ts"]).timestamp()


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0
