"""What a verification found, for people and for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.verify.numbers import Numbers, Spread
from holdfast.verify.violation import Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The numbers, and what was broken: nothing, if all is well."""

    seed: int
    prefix: str
    seconds: float
    numbers: Numbers
    violations: Sequence[Violation]
    checked: Sequence[str]  # what the truth was made of
    notes: Sequence[str] = ()
    stopped_by: str | None = None  # the signal that ended it before its time

    @property
    def ok(self) -> bool:
        """Whether every promise that could be looked at was kept."""
        return not self.violations

    def plain(self) -> dict[str, Any]:
        """Return it as one JSON value."""
        return {
            "ok": self.ok,
            "stopped_by": self.stopped_by,
            "seed": self.seed,
            "sessions_named": f"{self.prefix}*",
            "seconds": round(self.seconds, 3),
            **self.numbers.plain(),
            "checked": list(self.checked),
            "notes": list(self.notes),
            "violations": [violation.plain() for violation in self.violations],
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return the table: what, how much."""
        n = self.numbers
        return [
            ("sessions, runs, events", f"{n.sessions:,}, {n.runs:,}, {n.events:,}"),
            ("clients", f"{n.clients:,} over {n.connections:,} connections"),
            ("delivered", f"{n.delivered:,} events"),
            ("resumed", f"{n.resumed:,} times"),
            ("cuts", f"{n.cuts:,} made on purpose, {n.lost:,} that happened"),
            ("gaps", f"{n.gaps:,}"),
            ("duplicates", f"{n.duplicates:,}"),
            ("latency", spread(n.latency)),
            ("connect", spread(n.connect)),
            ("run to its terminal event", spread(n.to_terminal)),
            ("violations", f"{sum(1 + violation.more for violation in self.violations):,}"),
        ]


def spread(spread: Spread) -> str:
    """Return percentiles in a line."""
    if spread.p50 is None:
        return "nothing measured"
    parts = ("p50", spread.p50), ("p95", spread.p95), ("p99", spread.p99), ("max", spread.max)
    return ", ".join(f"{name} {_duration(value or 0.0)}" for name, value in parts)


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if abs(seconds) < 1 else f"{seconds:.2f} s"
