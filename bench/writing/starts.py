"""Starting runs: how long from the POST to the first event at the client, and what a run costs everybody.

Each session's stream is open before anything is asked. A run is asked for at an even pace, whatever became of those
before it; it emits a few events and ends.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.contenders.holdfast import Holdfast
from bench.rig.clocks import cpu_of, family
from bench.writing.client import Follower, Poster
from bench.writing.waits import Waits

# Requests on their way at once: 50 a second that take 20 ms each are one; a server that stalls finds all of these.
POSTERS = 64

# What the last run may take to end once all are asked for.
SETTLE_S = 60.0

TERMINAL = "run.completed"


@dataclass(frozen=True, slots=True)
class Starts:
    """A load: runs a second in all, over so many sessions, each with so many events of its own."""

    rate: float
    sessions: int
    seconds: float
    events: int = 1


@dataclass(slots=True)
class _Run:
    asked: float
    answered: float = 0.0
    first: float = 0.0
    started: float = 0.0
    own: float = 0.0
    ended: float = 0.0
    drops: int = 0


@dataclass(slots=True)
class _Watch:
    """All that was asked for and seen, by session; a session has one run at a time on its way."""

    runs: dict[str, list[_Run]] = field(default_factory=dict[str, list[_Run]])
    by_id: dict[str, _Run] = field(default_factory=dict[str, _Run])

    def seen(self, session: str, event: dict[str, Any], at: float) -> None:
        run_id = event.get("run_id")
        if run_id is None:
            return  # session.created
        run = self.by_id.get(run_id)
        if run is None:
            # The stream may be faster than the answer to the POST: runs of a session begin in the order of asking.
            run = self.by_id[run_id] = self.runs[session].pop(0)
            run.first = at
        match event["type"]:
            case "run.started":
                run.started = at
            case "custom.bench.drop":
                run.drops += 1
                run.own = run.own or at
            case "run.completed":
                run.ended = at
            case _:
                pass


def measure(holdfast: Holdfast, load: Starts) -> dict[str, Any]:
    """Run the load; return what it took. Raises when a run did not come to its end, or a stream was not whole."""
    return asyncio.run(_measure(holdfast, load))


async def _measure(holdfast: Holdfast, load: Starts) -> dict[str, Any]:
    names = await asyncio.to_thread(holdfast.sessions, load.sessions)
    watch = _Watch({name: [] for name in names})
    followers = [Follower(holdfast.port, name, watch.seen) for name in names]
    posters: asyncio.Queue[Poster] = asyncio.Queue()
    made = [Poster(holdfast.port) for _ in range(POSTERS)]
    for poster in made:
        posters.put_nowait(poster)
    try:
        for follower in followers:
            await follower.opened()
        parts = _parts(holdfast)
        before = {name: cpu_of(pids) for name, pids in parts.items()}
        runs = await _ask(names, load, watch, posters)
        await _ended(runs, followers)
        used = {name: cpu_of(pids) - before[name] for name, pids in parts.items()}
        return _told(runs, load, used)
    finally:
        for follower in followers:
            await follower.close()
        for poster in made:
            poster.close()


async def _ask(
    names: Sequence[str], load: Starts, watch: _Watch, posters: "asyncio.Queue[Poster]"
) -> list[_Run]:
    runs: list[_Run] = []
    began = time.monotonic() + 0.2
    asking: set[asyncio.Task[None]] = set()

    async def ask(name: str, run: _Run) -> None:
        poster = await posters.get()
        try:
            body = {"workflow": "drip", "input": {"events": load.events, "every_us": 0}}
            await poster.post(f"/v1/sessions/{name}/runs", body)
            run.answered = time.monotonic()
        finally:
            posters.put_nowait(poster)

    for n in range(int(load.rate * load.seconds)):
        await asyncio.sleep(max(0.0, began + n / load.rate - time.monotonic()))
        name = names[n % len(names)]
        run = _Run(time.monotonic())
        watch.runs[name].append(run)
        runs.append(run)
        task = asyncio.create_task(ask(name, run))
        asking.add(task)
        task.add_done_callback(asking.discard)
    await asyncio.gather(*asking)
    return runs


async def _ended(runs: Sequence[_Run], followers: Sequence[Follower]) -> None:
    deadline = time.monotonic() + SETTLE_S
    while not all(run.ended for run in runs):
        for follower in followers:
            follower.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{sum(not run.ended for run in runs)} runs have not ended")
        await asyncio.sleep(0.05)


def _parts(holdfast: Holdfast) -> dict[str, Sequence[int]]:
    return {
        "worker": holdfast.workers,
        "gateway": holdfast.pids,
        "postgres": family(holdfast.stack.pid("postgres")),
        "redis": holdfast.beside,
    }


def _told(runs: Sequence[_Run], load: Starts, used: dict[str, float]) -> dict[str, Any]:
    wrong = [run.drops for run in runs if run.drops != load.events]
    if wrong:
        raise RuntimeError(f"{len(wrong)} runs had another number of events than {load.events}")
    first = Waits.of([run.first - run.asked for run in runs])
    return {
        "runs": len(runs),
        "p50_ms": first.p50_ms,
        "p99_ms": first.p99_ms,
        "max_ms": first.max_ms,
        "answer_ms": Waits.of([run.answered - run.asked for run in runs]).p50_ms,
        "started_ms": Waits.of([run.started - run.asked for run in runs]).p50_ms,
        "own_ms": Waits.of([run.own - run.asked for run in runs]).p50_ms,
        "ended_ms": Waits.of([run.ended - run.asked for run in runs]).p50_ms,
        **{f"{name}_us": seconds / len(runs) * 1e6 for name, seconds in used.items()},
    }
