"""`python -m bench`: Holdfast beside its peers under the same loads, in one interleaved run, as ratios."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.contenders.contender import Contender
from bench.contenders.holdfast import Holdfast
from bench.contenders.nchan import Nchan
from bench.contenders.nchan_redis import NchanRedis
from bench.contenders.textbook import Textbook
from bench.loads import Cost, Load, gateway_loads
from bench.rig.machine import machine
from bench.rig.readers import LoadFailed, build
from bench.tables import table
from bench.watched import watched_loads

# One round of all loads beside all peers takes ten to fifteen minutes. More of them are an odd number, so that a median
# is a run that happened.
ROUNDS = 1
ROUNDS_FULL = 7

# What peers are spared: at 50 to 120 µs a delivery the tutorial's gateway would be at it for minutes, and tells no
# more; nchan's Redis is not filled within two.
TOO_LONG = {
    "textbook": (
        "1 x 1,000 at 300/s",
        "storm of 2,000, each 500 behind, 2,000 sessions",
        "100 hot of 10,000 watched at 1,000/s",
    ),
    "nchan + redis": ("storm of 2,000, each 500 behind, 2,000 sessions",),
}

# What they are spared as well, unless it is asked for by name or `--full`.
TOO_LONG_FOR_A_LOOK = {
    "textbook": ("storm of 2,000, each 500 behind, 100 sessions",),
    "nchan + redis": (
        "5,000 idle",
        "1 x 1,000 at 300/s",
        "backlog of 1,000, 1 x 1,000",
        "storm of 2,000, each 500 behind, 1 session",
        "storm of 2,000, each 500 behind, 100 sessions",
        "100 hot of 100 watched at 1,000/s",
        "100 hot of 10,000 watched at 1,000/s",
    ),
}


def main() -> int:
    """Run the loads; return 1 when a contender failed one."""
    asked = _arguments()
    work = Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    work.chmod(0o755)  # Postgres may run as somebody else
    try:
        program = build(work)
        loads = {
            **gateway_loads(program, full=asked.full),
            **watched_loads(program, full=asked.full),
        }
        names = [
            name for name in loads if not asked.load or any(part in name for part in asked.load)
        ]
        if not names:
            print(f"error: no load has {' or '.join(asked.load)} in its name", file=sys.stderr)
            return 2
        rounds = asked.rounds or (ROUNDS_FULL if asked.full else ROUNDS)
        quick = not asked.full and not asked.load
        with _contenders(work, asked.against) as contenders:
            about, found = machine(), dict[str, dict[str, Any]]()
            for name in names:
                found[name] = {
                    "by": [by.value for by in loads[name].by],
                    "who": _measure(
                        name,
                        loads[name],
                        [one for one in contenders if not spared(one.name, name, quick=quick)],
                        rounds,
                    ),
                }
                # After each: what is measured is kept when the rest is broken off.
                if asked.json:
                    text = json.dumps({"machine": about, "loads": found}, indent=1)
                    Path(asked.json).write_text(text + "\n", encoding="utf-8")
        Console(width=None if sys.stdout.isatty() else 170).print(table(found))
        failed = any("failed" in cell for row in found.values() for cell in row["who"].values())
        return 1 if failed else 0
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--load", action="append", default=[], help="only loads with this in their name; repeatable"
    )
    parser.add_argument(
        "--against",
        default="nchan,nchan-redis,textbook",
        help="peers, separated by commas; empty: none",
    )
    parser.add_argument(
        "--rounds", type=int, help=f"of each load (default {ROUNDS}, with --full {ROUNDS_FULL})"
    )
    parser.add_argument("--full", action="store_true", help="four times as long")
    parser.add_argument("--json", metavar="FILE", help="write every number there")
    return parser.parse_args()


@contextmanager
def _contenders(work: Path, against: str) -> Generator[list[Contender]]:
    peers = [name for name in against.split(",") if name]
    with ExitStack() as stack:
        holdfast = Holdfast(work / "holdfast")
        stack.callback(holdfast.stop)
        found: list[Contender] = [holdfast]
        for name in peers:
            match name:
                case "nchan":
                    peer: Contender = Nchan(work / "nchan")
                case "nchan-redis":
                    peer = NchanRedis(work / "nchan-redis")
                case "textbook":
                    peer = Textbook(work / "textbook", holdfast)
                case _:
                    sys.exit(f"error: there is no peer {name}; nchan, nchan-redis and textbook are")
            stack.callback(peer.stop)
            found.append(peer)
        yield found


def spared(who: str, load: str, *, quick: bool) -> bool:
    """Tell whether a peer is left out of a load; `quick` is a look at all of them."""
    return load in TOO_LONG.get(who, ()) or (quick and load in TOO_LONG_FOR_A_LOOK.get(who, ()))


def _measure(
    name: str, load: Load, contenders: Sequence[Contender], rounds: int
) -> dict[str, dict[str, Any]]:
    """Run one load over all contenders, taking turns, so that what else the machine does hits everybody."""
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    failed: dict[str, str] = {}
    for turn in range(rounds):
        for contender in contenders:
            if contender.name in failed:
                continue
            print(
                f"\r{name}: {turn + 1} of {rounds}, {contender.name}          ",
                end="",
                file=sys.stderr,
            )
            try:
                costs[contender.name].append(load.run(contender))
            except (LoadFailed, TimeoutError) as error:
                failed[contender.name] = str(error)
    print("\r" + " " * 70, end="\r", file=sys.stderr)
    found: dict[str, dict[str, Any]] = {}
    for who, runs in costs.items():
        if who in failed:
            found[who] = {"failed": failed[who]}
        elif runs:
            found[who] = {field: [getattr(run, field) for run in runs] for field in asdict(runs[0])}
    return found


if __name__ == "__main__":
    sys.exit(main())
