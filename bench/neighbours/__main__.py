"""Measure what a run that computes does to its neighbours: `python -m bench.neighbours --runs 200 --burn-s 30`.

The modes go side by side, one after the other on one stack with one worker: no hog, a hog whose step is offloaded to a
process or to a thread, and one that computes in the event loop itself. Nothing is asserted but what is promised: no
lease is lost and every run completes; else the exit status is 1.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from bench.neighbours.measure import MODES, WORKFLOWS, Neighbourhood, Outcome
from tests.e2e.stack import running

COLUMNS = (
    "mode",
    "runs",
    "completed",
    "leases lost",
    "beats",
    "p50 ms",
    "p99 ms",
    "max ms",
    "what the watchdog says",
)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and tell whether the promises held."""
    options = _options(arguments)
    begun = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {what}", file=sys.stderr, flush=True)

    say("starting one worker")
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-bench-") as place,
        running(
            Path(place) / "data",
            "--quiet",
            str(WORKFLOWS),
            # The hog and its neighbours are all that the worker has.
            HOLDFAST_SESSIONS_MAX=str(options.runs),
            HOLDFAST_LEASE_S=str(options.lease_s),
            HOLDFAST_LOG_FORMAT="json",
        ) as stack,
    ):
        neighbourhood = Neighbourhood(
            stack, runs=options.runs, burn_s=options.burn_s, pause_s=options.pause_s
        )
        outcomes = [neighbourhood.measure(mode, say) for mode in options.modes]
        neighbourhood.close()
    if options.json:
        print(json.dumps([outcome.as_json() for outcome in outcomes], indent=2))
    else:
        print(table(outcomes))
    return 0 if all(kept(outcome) for outcome in outcomes) else 1


def kept(outcome: Outcome) -> bool:
    """Tell whether the promises held."""
    return (
        outcome.leases_lost == 0 and outcome.attempts_max == 1 and outcome.completed == outcome.runs
    )


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes as a table in Markdown."""
    rows = [
        (
            one.mode,
            one.runs,
            one.completed,
            one.leases_lost,
            one.beats,
            f"{one.p50_ms:.1f}",
            f"{one.p99_ms:.1f}",
            f"{one.max_ms:.1f}",
            "; ".join(f"{b.culprit}, {b.blocked_s:.1f} s" for b in one.blockades) or "nothing",
        )
        for one in outcomes
    ]
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.neighbours", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="the hog among them")
    parser.add_argument("--burn-s", type=float, default=30.0, help="how long the hog burns")
    parser.add_argument("--pause-s", type=float, default=1.0, help="between a neighbour's beats")
    parser.add_argument("--lease-s", type=float, default=15.0, help="the worker's leases")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if options.runs < 2:
        parser.error("--runs: a hog needs a neighbour")
    return options


if __name__ == "__main__":
    sys.exit(main())
