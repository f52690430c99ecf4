"""`python -m bench.writing`: the write path in figures. Contenders take turns; min – median – max over the rounds.

    append      200 producers, each waiting for its commit: a whole worker, a commit per event, the bare group commit
    delivery    emit → client, commit included, at 1,000 and 5,000 events/s: Holdfast and the bare floor
    tokens      a LangGraph graph of 200 tokens, nothing joined: CPU per token over the bare graph
    starts      POST → first event at 50 runs/s; many short runs; few long ones: CPU per run

Postgres, Redis and the gateway have core 0 (in `append` the first two alone), whoever writes has core 1. Every run
checks that each event arrived exactly once and in order; one that finds otherwise makes the exit status 1.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.contenders.holdfast import Holdfast
from bench.rig.clocks import family, pin
from bench.rig.machine import machine
from bench.rig.readers import build
from bench.writing import graph
from bench.writing.floor import Floor
from bench.writing.loads import START_LOADS, Result, append, delivery, starts, tokens
from bench.writing.servers import servers

KINDS = ("append", "delivery", "tokens", "starts")

# An odd number, so that a median is a run that happened.
ROUNDS = 3

RATES = (1000.0, 5000.0)

Found = dict[tuple[str, str], list[Result]]


def main() -> int:
    """Run what is asked for; return 1 when a load found something wrong."""
    asked = _arguments()
    work = Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    work.chmod(0o755)
    found: Found = {}
    wrong = False
    try:
        for kind in asked.only or KINDS:
            try:
                with ExitStack() as stack:
                    cases = _CASES[kind](work, asked, stack)
                    _take_turns(cases, asked.rounds, found)
            except (RuntimeError, TimeoutError, subprocess.CalledProcessError) as error:
                print(f"{kind} failed: {error}", file=sys.stderr)
                wrong = True
        tables = _tables(found)
        _print(tables)
        if asked.json:
            Path(asked.json).write_text(
                json.dumps({"machine": machine(), "tables": tables}, indent=1, ensure_ascii=False)
                + "\n",
                encoding="utf-8",
            )
        return 1 if wrong else 0
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.writing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", choices=KINDS, help="repeatable")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", metavar="FILE", help="write every number there")
    return parser.parse_args()


Cases = Mapping[tuple[str, str], Callable[[], Result]]


def _take_turns(cases: Cases, rounds: int, found: Found) -> None:
    for turn in range(rounds):
        for (load, who), run in cases.items():
            print(f"{load}: {turn + 1} of {rounds}, {who}", file=sys.stderr, flush=True)
            found.setdefault((load, who), []).append(run())


def _append_cases(work: Path, asked: argparse.Namespace, stack: ExitStack) -> Cases:
    both = stack.enter_context(servers(_folder(work, "append")))
    return {
        ("durable append, 200 producers", name): lambda who=who: append(
            both, who, seconds=asked.seconds
        )
        for who, name in (
            ("each", "a commit per event"),
            ("bare", "bare group commit"),
            ("holdfast", "holdfast"),
        )
    }


def _delivery_cases(work: Path, asked: argparse.Namespace, stack: ExitStack) -> Cases:
    program = build(work)
    holdfast = stack.enter_context(_holdfast(_folder(work, "delivery")))
    floor = Floor(holdfast)
    stack.callback(floor.stop)
    return {
        (f"emit → client at {rate:,.0f}/s", contender.name): (
            lambda contender=contender, rate=rate: delivery(
                contender, program, rate=rate, seconds=asked.seconds
            )
        )
        for rate in RATES
        for contender in (floor, holdfast)
    }


def _tokens_cases(work: Path, asked: argparse.Namespace, stack: ExitStack) -> Cases:
    holdfast = stack.enter_context(_holdfast(_folder(work, "tokens"), str(graph.__file__)))
    tokens(holdfast)  # the first one imports, prepares and fills caches
    return {("LangGraph, 200 tokens", "holdfast"): lambda: tokens(holdfast)}


def _starts_cases(work: Path, asked: argparse.Namespace, stack: ExitStack) -> Cases:
    holdfast = stack.enter_context(_holdfast(_folder(work, "starts")))
    return {
        (name, "holdfast"): lambda load=load: starts(holdfast, load(asked.seconds))
        for name, load in START_LOADS.items()
    }


_CASES: Mapping[str, Callable[[Path, argparse.Namespace, ExitStack], Cases]] = {
    "append": _append_cases,
    "delivery": _delivery_cases,
    "tokens": _tokens_cases,
    "starts": _starts_cases,
}


@contextmanager
def _holdfast(folder: Path, *modules: str) -> Generator[Holdfast]:
    # Each token is an event of its own: what joining them saves is known from counting.
    os.environ["HOLDFAST_COALESCE_MS"] = "0"
    holdfast = Holdfast(folder / "holdfast", arguments=modules)
    try:
        # Beside the gateway: the worker is what is measured here.
        pin(family(holdfast.stack.pid("postgres")), 0)
        yield holdfast
    finally:
        holdfast.stop()


def _folder(work: Path, name: str) -> Path:
    folder = work / name
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def _three(runs: Sequence[Result]) -> dict[str, list[float]]:
    return {
        name: [min(values), statistics.median(values), max(values)]
        for name in runs[0]
        if (values := [float(run[name]) for run in runs])
    }


def _tables(found: Found) -> list[dict[str, Any]]:
    """Return a table for each load, its cells ready to be shown: here, and by `bench.page`."""
    tables: list[dict[str, Any]] = []
    for load in dict.fromkeys(load for load, _ in found):
        cells = {who: _three(runs) for (other, who), runs in found.items() if other == load}
        rows = [
            [
                name.replace("_", " "),
                *(
                    " – ".join(_said(value) for value in cell[name]) if name in cell else ""
                    for cell in cells.values()
                ),
            ]
            for name in dict.fromkeys(name for cell in cells.values() for name in cell)
        ]
        tables.append({"title": load, "headings": ["", *cells], "rows": rows})
    return tables


def _print(tables: Sequence[Mapping[str, Any]]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 150)
    for found in tables:
        table = Table(title=found["title"], caption="min – median – max")
        for at, heading in enumerate(found["headings"]):
            table.add_column(heading, justify="right" if at else "left")
        for row in found["rows"]:
            table.add_row(*row)
        console.print(table)


def _said(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
