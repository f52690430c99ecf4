"""`python -m bench.costs`: measure what the capacity model multiplies, each by itself, over the whole stack.

One machine, everything on it: a server's cost is the CPU of its own processes. Takes some six minutes on a quiet
machine. `--json` keeps the numbers where `bench.capacity` reads them.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import idle
from bench.contenders.holdfast import Holdfast
from bench.costs.gateway import gateway_costs, idle_costs
from bench.costs.kept import MEASURED, Costs, meanings, read_kept
from bench.costs.redis import redis_costs
from bench.costs.writing import writing_costs
from bench.rig.machine import machine
from bench.rig.readers import build
from bench.rig.services import Service
from holdfast.local.ladder import redis_server

Part = Callable[[Path], Mapping[str, float]]


def _redis(work: Path) -> Mapping[str, float]:
    server = redis_server(work / "redis")
    server.start()
    try:
        assert server.pid is not None
        return redis_costs(server.url, server.pid)
    finally:
        server.stop()


def _writing(work: Path) -> Mapping[str, float]:
    with ExitStack() as stack:
        # Its own gateway is asked for runs and serves no reader; the worker is ours, whose counters can be asked.
        base = Holdfast(work / "writing", arguments=("--orchestrators", "0"), pinned=False)
        stack.callback(base.stop)
        worker = Service("orchestrator", work / "worker.log", base.environment)
        stack.callback(worker.stop)
        return writing_costs(base, worker)


def _gateway(work: Path) -> Mapping[str, float]:
    program = build(work)
    with _stack(work / "idle") as base:
        waiting = idle_costs(base, program)
    with _stack(work / "gateway") as base:
        stream_bytes = waiting["gateway_stream_bytes"]
        return {**waiting, **gateway_costs(base, program, stream_bytes=stream_bytes)}


@contextmanager
def _stack(place: Path) -> Generator[Holdfast]:
    base = Holdfast(place)
    try:
        yield base
    finally:
        base.stop()


def _asking(work: Path) -> Mapping[str, float]:
    place = work / "statements"
    place.mkdir()
    found = idle.alone(place)
    return {f"{one.who}_statements": one.per_second for one in found}


PARTS: Mapping[str, Part] = {
    "redis": _redis,
    "writing": _writing,
    "gateway": _gateway,
    "statements": _asking,
}


def main() -> int:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(prog="python -m bench.costs", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="repeatable")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help=f"keep all of them; the model reads bench/costs/{MEASURED.name}",
    )
    asked = parser.parse_args()
    if asked.only and asked.json:
        parser.error("--json keeps what was measured together: leave --only out")
    about, found = machine(), dict[str, float]()
    work = Path(tempfile.mkdtemp(prefix="holdfast-costs-"))
    work.chmod(0o755)  # Postgres may run as somebody else
    try:
        parts = asked.only or list(PARTS)
        for name in track(parts, "measuring", console=Console(stderr=True)):
            found.update(PARTS[name](work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _print(found)
    if asked.json:
        text = json.dumps({"machine": about, "costs": found}, indent=1)
        asked.json.write_text(text + "\n", encoding="utf-8")
    return 0


def _print(found: Mapping[str, float]) -> None:
    kept = read_kept()["costs"]
    table = Table()
    for heading in ("cost", "kept", "now", "of what"):
        table.add_column(heading, justify="right" if heading in ("kept", "now") else "left")
    for name, meaning in meanings(Costs).items():
        was, now = (f"{of[name]:,.4g}" if name in of else "" for of in (kept, found))
        table.add_row(name, was, now, meaning)
    Console(width=None if sys.stdout.isatty() else 150).print(table)


if __name__ == "__main__":
    sys.exit(main())
