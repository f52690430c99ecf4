"""What a campaign has done so far: kept in a file after every round, so that sittings add up to one campaign."""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.campaign.engine import Played
from tests.campaign.scenario import Scenario
from tests.campaign.sketch import Sketch
from tests.code_at_work import UNKNOWN, commit

# The newest are what one looks at; the count says how many there were.
SEEDS_KEPT = 2_000
VIOLATIONS_KEPT = 50

# What a file holds in another form than we do.
_MADE = frozenset({"commits", "done", "counts", "sketches"})


@dataclass(slots=True)
class Total:
    """One scenario over all sittings."""

    units: int = 0
    rounds: int = 0
    seconds: float = 0.0
    runs: int = 0
    events: int = 0
    clients: int = 0
    commits: Counter[str] = field(default_factory=Counter[str])  # units, by the code played
    seeds: list[int] = field(default_factory=list[int])
    done: Counter[str] = field(default_factory=Counter[str])
    counts: Counter[str] = field(default_factory=Counter[str])
    violated: int = 0
    violations: list[str] = field(default_factory=list[str])
    sketches: dict[str, Sketch] = field(default_factory=dict[str, Sketch])

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Total":
        """Read it from a file."""
        plain = {name: value for name, value in kept.items() if name not in _MADE}
        return cls(
            **plain,
            # Older files don't say which code it was.
            commits=Counter(kept.get("commits", {UNKNOWN: kept["units"]})),
            done=Counter(kept["done"]),
            counts=Counter(kept["counts"]),
            sketches={name: Sketch(one) for name, one in kept["sketches"].items()},
        )

    def add(self, played: Played) -> None:
        """Take in a round."""
        verdict = played.verdict
        self.units += played.units
        self.commits[commit()] += played.units
        self.rounds += 1
        self.seconds += played.seconds
        self.runs += verdict.runs
        self.events += verdict.events
        self.clients += verdict.clients
        self.seeds = [*self.seeds, played.seed][-SEEDS_KEPT:]
        self.done.update(played.done)
        self.counts.update(verdict.counts)
        self.violated += len(verdict.violations)
        self.violations = [*self.violations, *verdict.violations][-VIOLATIONS_KEPT:]
        for name, seconds in verdict.samples.items():
            self.sketches.setdefault(name, Sketch()).add(seconds)

    def merge(self, other: "Total") -> None:
        """Take in what another sitting, or another process, has done."""
        self.units += other.units
        self.rounds += other.rounds
        self.seconds += other.seconds
        self.runs += other.runs
        self.events += other.events
        self.clients += other.clients
        self.commits.update(other.commits)
        self.seeds = [*self.seeds, *other.seeds][-SEEDS_KEPT:]
        self.done.update(other.done)
        self.counts.update(other.counts)
        self.violated += other.violated
        self.violations = [*self.violations, *other.violations][-VIOLATIONS_KEPT:]
        for name, sketch in other.sketches.items():
            self.sketches.setdefault(name, Sketch()).merge(sketch)

    def silent(self, scenario: Scenario) -> list[str]:
        """Return what should have happened and never did."""
        return [name for name in scenario.must_fire if not self.counts[name]]

    def plain(self) -> dict[str, Any]:
        """Return it for a file."""
        found = {name: getattr(self, name) for name in self.__slots__}
        found["sketches"] = {name: sketch.plain() for name, sketch in self.sketches.items()}
        return found


class State:
    """The totals of all scenarios, in a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.begun_at = time.time()
        self.totals: dict[str, Total] = {}
        if path is not None and path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            self.begun_at = kept["begun_at"]
            self.totals = {name: Total.of(one) for name, one in kept["totals"].items()}

    def total(self, scenario: Scenario) -> Total:
        """Return what was done of a scenario."""
        return self.totals.setdefault(scenario.name, Total())

    def merge(self, other: "State") -> None:
        """Take in what another campaign has done."""
        self.begun_at = min(self.begun_at, other.begun_at)
        for name, total in other.totals.items():
            self.totals.setdefault(name, Total()).merge(total)

    def save(self) -> None:
        """Write everything down: whole or, in a crash, as it was before."""
        if self._path is None:
            return
        text = json.dumps(
            {
                "begun_at": self.begun_at,
                "totals": {name: total.plain() for name, total in self.totals.items()},
            }
        )
        half = self._path.with_name(f"{self._path.name}.new")
        half.write_text(text, encoding="utf-8")
        os.replace(half, self._path)
