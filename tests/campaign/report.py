"""The campaign so far: a table for a person, and a fragment of Markdown for docs/proof.md."""

import time
from collections import Counter
from collections.abc import Sequence

from tests.campaign.counters import MUST_FIRE
from tests.campaign.scenario import Scenario
from tests.campaign.sketch import Sketch
from tests.campaign.state import State, Total

_HEADS = ("scenario", "units", "of", "runs", "events", "violations", "takeover p99", "max")


def table(scenarios: Sequence[Scenario], state: State) -> str:
    """Return one row for each scenario."""
    rows = [_HEADS, *(_row(scenario, state.total(scenario)) for scenario in scenarios)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def counters(totals: Sequence[Total]) -> Counter[str]:
    """Return everything that was counted, over all scenarios."""
    found: Counter[str] = Counter()
    for total in totals:
        found.update(total.counts)
    return found


def markdown(scenarios: Sequence[Scenario], state: State) -> str:
    """Return what docs/proof.md says of the campaign."""
    begun = time.strftime("%Y-%m-%d", time.gmtime(state.begun_at))
    totals = [state.total(scenario) for scenario in scenarios]
    hours = sum(total.seconds for total in totals) / 3600
    lines = [
        f"Begun {begun}; {hours:.1f} hours of faults against real Postgres, Redis, gateways and workers.",
        "",
        "| " + " | ".join(_HEADS) + " |",
        "|" + "---|" * len(_HEADS),
    ]
    for scenario, total in zip(scenarios, totals, strict=True):
        title, *rest = _row(scenario, total)
        del title
        lines.append("| " + " | ".join([scenario.title, *rest]) + " |")
    played: Counter[str] = Counter()
    for total in totals:
        played.update(total.commits)
    lines += ["", "Units by the code that was played: " + _by_commit(played) + "."]
    seen = counters(totals)
    lines += ["", "| what had to happen | times |", "|---|---|"]
    lines += [f"| {words} | {seen[name]:,} |" for name, words in MUST_FIRE.items()]
    lines.append("")
    for scenario, total in zip(scenarios, totals, strict=True):
        for name, sketch in sorted(total.sketches.items()):
            if len(sketch):
                lines.append(f"- {scenario.name}, {name}: {_spread(sketch)}")
        if total.seeds:
            seeds = ", ".join(map(str, total.seeds[-5:]))
            lines.append(f"- {scenario.name}: {total.rounds:,} rounds, the last seeds {seeds}")
    return "\n".join(lines) + "\n"


def _by_commit(commits: Counter[str]) -> str:
    return ", ".join(f"{units:,} at `{name}`" for name, units in commits.items()) or "none"


def _row(scenario: Scenario, total: Total) -> tuple[str, ...]:
    takeover = total.sketches.get("takeover", Sketch())
    p99 = takeover.quantile(0.99)
    return (
        scenario.name,
        f"{total.units:,}",
        f"{scenario.units:,}",
        f"{total.runs:,}",
        f"{total.events:,}",
        str(total.violated),
        "" if p99 is None else f"{p99:.2f} s",
        "" if p99 is None else f"{takeover.most:.2f} s",
    )


def _spread(sketch: Sketch) -> str:
    p50, p99 = sketch.quantile(0.5), sketch.quantile(0.99)
    return f"{len(sketch):,} times, p50 {p50:.3f} s, p99 {p99:.3f} s, max {sketch.most:.3f} s"
