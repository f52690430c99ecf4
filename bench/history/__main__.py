"""Measure what history costs: `python -m bench.history`, or a part of it with `--only cost` or `--only million`.

`cost`: bytes for each 1,000 tokens in Postgres, in Redis and to a client, with coalescing on and off. `million`: what
the gateway holds while a very long session is opened in every way; the exit status is 1 when that has no bound.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.history import cost, million

PARTS = ("cost", "million")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and tell whether the gateway's memory was bounded."""
    options = _options(arguments)
    begun = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {what}", file=sys.stderr, flush=True)

    costs: list[cost.Cost] = []
    deeds: list[million.Deed] = []
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as made:
        place = Path(options.data or made)
        place.mkdir(parents=True, exist_ok=True)
        if "cost" in options.only:
            for mode in cost.MODES:
                costs += cost.measure(mode, place, options.rates, rounds=options.rounds, say=say)
        if "million" in options.only:
            deeds = million.measure(place, options.sizes, crowd=options.crowd, say=say)
    if options.json:
        found: dict[str, Any] = {
            "cost": [one.as_json() for one in costs],
            "million": [one.as_json() for one in deeds],
        }
        print(json.dumps(found, indent=2))
    else:
        if costs:
            print(cost_table(costs))
        if deeds:
            print(million_table(deeds))
    return 0 if all(deed.grown_kb <= million.GROWN_MAX_KB for deed in deeds) else 1


def cost_table(costs: Sequence[cost.Cost]) -> str:
    """Return bytes for each 1,000 tokens as a table in Markdown, each cell min – median – max."""
    heading = ("bytes for 1,000 tokens", *(f"{one.mode}, {one.per_s:g}/s" for one in costs))
    names = {
        "events": "events",
        "heap": "events: heap",
        "toast": "events: toast",
        "indexes": "events: indexes",
        "others": "runs, commands, results",
        "wal": "WAL",
        "redis": "Redis window",
        "wire": "to each client",
    }
    rows = [
        (shown, *(" – ".join(f"{x:,.0f}" for x in getattr(one, name)) for one in costs))
        for name, shown in names.items()
    ]
    return _table(heading, rows)


def million_table(deeds: Sequence[million.Deed]) -> str:
    """Return the deeds as a table in Markdown: a row for each, for each length its memory, first event and time."""
    sizes = sorted({deed.events for deed in deeds})
    heading = (
        "",
        *(f"{size:,}: MB grown" for size in sizes),
        *(f"{size:,}: first ms" for size in sizes),
        *(f"{size:,}: s" for size in sizes),
    )
    found = {(deed.name, deed.events): deed for deed in deeds}
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys(deed.name for deed in deeds):
        line = [found[name, size] for size in sizes]
        rows.append(
            (
                name,
                *(f"{deed.grown_kb / 1024:.1f}" for deed in line),
                *(f"{deed.first_ms:,.0f}" for deed in line),
                *(f"{deed.seconds:.1f}" for deed in line),
            )
        )
    return _table(heading, rows)


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="a part of it"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help=f"of {cost.SESSIONS} messages each, for each cost"
    )
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[50.0, 500.0], help="tokens a second"
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=list(million.SIZES), help="events of a session"
    )
    parser.add_argument(
        "--no-crowd",
        dest="crowd",
        action="store_false",
        help=f"without {million.FAST + million.SLOW} clients at once, which read 5 GB of a million events",
    )
    parser.add_argument(
        "--data", metavar="DIR", help="where the databases go; else a temporary place"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or min(options.sizes) < 1_000:
        parser.error("at least one round, and sessions of at least 1,000 events")
    return options


if __name__ == "__main__":
    sys.exit(main())
