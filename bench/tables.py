"""Results as tables: for a terminal, and in Markdown for `docs/performance.md`."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from bench.loads import By

Found = Mapping[str, Mapping[str, Any]]
"""Loads by name, each with what it is compared by and, for each contender, every round's figures by field."""

OURS = "holdfast"

HEADINGS = {
    "gateway_us": "CPU µs per delivery",
    "with_redis_us": "with Redis",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "wall_s": "wall s",
    "accept_s": "accept s",
    "memory_kb": "KB each",
}
BY = {
    By.GATEWAY: "CPU",
    By.WITH_REDIS: "CPU with Redis",
    By.WALL: "time",
    By.ACCEPT: "time to accept",
    By.MEMORY: "memory",
}
CAPTION = (
    "medians over the rounds; the last column is the peer's figure over Holdfast's of the same round,"
    " min – median – max: above 1 Holdfast is better"
)


def three(values: Sequence[float], unit: str = "") -> str:
    """Return min – median – max; nothing of nothing, as where memory was there from an earlier load."""
    if not values:
        return "?"
    return " – ".join(
        f"{_short(value)}{unit}" for value in (min(values), statistics.median(values), max(values))
    )


def ratios(ours: Mapping[str, Any], theirs: Mapping[str, Any], field: str) -> list[float]:
    """Return how many times more a peer took, round by round: what else the machine did then hit both."""
    return [
        their / our
        for our, their in zip(ours[field], theirs[field], strict=False)
        if our > 0 and their > 0
    ]


def rows(found: Found) -> list[list[str]]:
    """Return the cells of a table, one row for each load and contender."""
    cells: list[list[str]] = []
    for name, load in found.items():
        ours = load["who"].get(OURS, {})
        for who, figures in load["who"].items():
            if "failed" in figures:
                cells.append([name, who, *[""] * len(HEADINGS), f"failed: {figures['failed']}"])
                continue
            compared = ""
            if who != OURS and "failed" not in ours:
                compared = "; ".join(
                    f"{BY[By(field)]} {three(ratios(ours, figures, field), 'x')}"
                    for field in load["by"]
                )
            medians = [
                # Only where connections are what is measured.
                ""
                if field == By.MEMORY and field not in load["by"]
                else _short(_middle(field, figures[field]))
                for field in HEADINGS
            ]
            cells.append([name, who, *medians, compared])
    return cells


def table(found: Found) -> Table:
    """Return the table for a terminal."""
    shown = Table(caption=CAPTION)
    shown.add_column("load")
    shown.add_column("who")
    for heading in HEADINGS.values():
        shown.add_column(heading, justify="right")
    shown.add_column("peer over Holdfast")
    last = ""
    for row in rows(found):
        if last and row[0] != last:
            shown.add_section()
        shown.add_row("" if row[0] == last else row[0], *row[1:])
        last = row[0]
    return shown


def markdown(found: Found) -> str:
    """Return the table in Markdown."""
    heading = ["load", "who", *HEADINGS.values(), "peer over Holdfast"]
    ruler = ["---", "---", *["--:"] * len(HEADINGS), "---"]
    lines = [heading, ruler, *rows(found)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _middle(field: str, values: Sequence[float]) -> float:
    # From the second round on a process has the memory already, and grows by nothing: the first one tells.
    return values[0] if field == By.MEMORY else statistics.median(values)


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
