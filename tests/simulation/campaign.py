"""Many seeds on several cores: what was found, what never happened, and a file from which a long one goes on."""

import gc
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.code_at_work import UNKNOWN, commit
from tests.simulation.counters import silent
from tests.simulation.mutant import mutant
from tests.simulation.schedule import Verdict, run_schedule

# Seeds handed to a process at a time: a second's work, so that a time budget is kept and hands are seldom shaken.
CHUNK = 25

# A schedule leaves some 3,500 objects that hold each other, and all of them until it ends: they are collected then, and
# looked at once. Within a schedule the collector is for those that spin: 200,000 are a hundred megabytes at most.
GC_THRESHOLD = 200_000

# Violations that are kept with their witnesses; of the others the seeds are.
SHOWN_MAX = 20

# Below this a campaign can't be expected to have seen everything: what is silent is told, and is no failure.
SEEDS_FOR_ALL = 2_000


@dataclass(slots=True)
class Broken:
    """A seed that broke a promise."""

    seed: int
    says: list[str]
    schedule: list[str]


@dataclass(slots=True)
class Campaign:
    """How far a campaign is. `next_seed` is the first one that was not run, all before it were."""

    first_seed: int
    next_seed: int
    schedules: int = 0
    seconds: float = 0.0  # of virtual time
    steps: int = 0
    events: int = 0
    elapsed_s: float = 0.0
    commits: dict[str, int] = field(default_factory=dict[str, int])  # schedules, by the code played
    counters: dict[str, int] = field(default_factory=dict[str, int])
    broken: list[Broken] = field(default_factory=list[Broken])
    broken_seeds: list[int] = field(default_factory=list[int])

    def add(self, part: "Part") -> None:
        """Take in what a process brought."""
        self.schedules += part.schedules
        self.commits[commit()] = self.commits.get(commit(), 0) + part.schedules
        self.seconds += part.seconds
        self.steps += part.steps
        self.events += part.events
        self.counters = dict(Counter(self.counters) + part.counters)
        for one in part.broken:
            self.broken_seeds.append(one.seed)
            if len(self.broken) < SHOWN_MAX:
                self.broken.append(one)

    def silent(self) -> list[str]:
        """Return what a campaign of this size should have seen and has not."""
        return silent(self.counters) if self.schedules >= SEEDS_FOR_ALL else []

    def save(self, path: Path) -> None:
        """Write it down; a reader sees the old file or the new one."""
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(asdict(self), indent=1))
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Campaign":
        """Read what `save` wrote."""
        kept: dict[str, Any] = json.loads(path.read_text())
        kept["broken"] = [Broken(**one) for one in kept["broken"]]
        # Older files don't say which code it was.
        kept.setdefault("commits", {UNKNOWN: kept["schedules"]})
        return cls(**kept)


@dataclass(slots=True)
class Part:
    """What a chunk of seeds brought."""

    first: int
    schedules: int = 0
    seconds: float = 0.0
    steps: int = 0
    events: int = 0
    counters: Counter[str] = field(default_factory=Counter[str])
    broken: list[Broken] = field(default_factory=list[Broken])

    def add(self, verdict: Verdict) -> None:
        """Take in a verdict."""
        self.schedules += 1
        self.seconds += verdict.seconds
        self.steps += verdict.steps
        self.events += verdict.events
        self.counters += verdict.counters
        if verdict.violations:
            self.broken.append(Broken(verdict.seed, verdict.violations, verdict.schedule))


def run_part(first: int, last: int, mutant_name: str | None) -> Part:
    """Run the seeds from `first` to before `last`."""
    around = mutant(mutant_name).apply if mutant_name else nullcontext
    part = Part(first)
    with _collected_by_hand() as collect:
        for seed in range(first, last):
            part.add(run_schedule(seed, around=around, digest=False))
            collect()
    return part


@contextmanager
def _collected_by_hand() -> Generator[Callable[[], object]]:
    """Yield what collects a schedule's garbage. Whatever was there before is not looked at meanwhile."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 100)
    try:
        # The youngest are enough: what survives a schedule is a cache.
        yield lambda: gc.collect(0)
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _run_part(job: tuple[int, int, str | None]) -> Part:
    return run_part(*job)


def run_campaign(
    campaign: Campaign,
    until: int,
    *,
    jobs: int = 1,
    budget_s: float | None = None,
    mutant_name: str | None = None,
    stop_at_first: bool = False,
    on_progress: Callable[[Campaign], None] = lambda _: None,
) -> Campaign:
    """Run the seeds from `campaign.next_seed` to before `until`, or until the time is used up."""
    commit()  # now, while it is still the code that is about to be played
    begun, before_s = time.monotonic(), campaign.elapsed_s

    def chunks() -> Iterator[tuple[int, int, str | None]]:
        for first in range(campaign.next_seed, until, CHUNK):
            if budget_s is not None and time.monotonic() - begun > budget_s:
                return
            yield first, min(first + CHUNK, until), mutant_name

    for part in _parts(chunks(), jobs):
        campaign.add(part)
        campaign.next_seed = part.first + part.schedules
        campaign.elapsed_s = before_s + time.monotonic() - begun
        on_progress(campaign)
        if stop_at_first and campaign.broken_seeds:
            break
    return campaign


def _parts(chunks: Iterator[tuple[int, int, str | None]], jobs: int) -> Iterator[Part]:
    """Yield the parts in the order of their seeds."""
    if jobs == 1:
        yield from map(_run_part, chunks)
        return
    # Spawned: a fork of whatever runs here (a test session with its threads) would be another thing than a new process.
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        waiting: list[Any] = []
        for chunk in chunks:
            waiting.append(pool.apply_async(_run_part, (chunk,)))
            # Not all at once: the time budget is looked at when a chunk is asked for.
            if len(waiting) > 2 * jobs:
                yield waiting.pop(0).get()
        for one in waiting:
            yield one.get()
