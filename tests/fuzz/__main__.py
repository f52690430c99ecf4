"""The long form of the raw HTTP cases: `python -m tests.fuzz --cases 100000 --state fuzz.json`.

With a state file it can be stopped at any time and goes on where it was. Exit 1 when something was found; its exact
bytes are printed and kept in the state file. `--seed S --case N` sends one case again and prints everything.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from pathlib import Path

import orjson

from tests.code_at_work import UNKNOWN
from tests.fuzz.raw_campaign import Tally, campaign, replay
from tests.fuzz.raw_wire import faults


def main() -> int:
    """Run, or run one again; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="how many in all")
    parser.add_argument("--seed", type=int, default=1, help="which cases")
    parser.add_argument("--state", type=Path, help="where to keep what was done")
    parser.add_argument("--case", type=int, help="send only this one, and show it")
    given = parser.parse_args()
    if given.case is not None:
        return asyncio.run(_again(given.seed, given.case))
    tally = _load(given.state, given.seed)
    if tally.found:
        print("what was found before has to be looked at first: mend it and begin a new state file")
        return _report(tally)
    begun, before = time.monotonic(), tally.done

    def progress(tally: Tally) -> None:
        if given.state is not None:
            _save(given.state, tally)
        speed = (tally.done - before) / (time.monotonic() - begun)
        print(
            f"\r{tally.done:,} of {given.cases:,} cases, {speed:,.0f}/s,"
            f" loop at most {tally.lag_s * 1000:.0f} ms late ",
            end="",
            file=sys.stderr,
            flush=True,
        )

    asyncio.run(campaign(tally, given.cases, progress=progress))
    print(file=sys.stderr)
    return _report(tally)


async def _again(seed: int, number: int) -> int:
    case, outcome = await replay(seed, number)
    print(f"case {number} of seed {seed}: {case.kind}, {case.method}")
    for piece in case.pieces:
        print(f"  > {piece!r}")
    for answer in outcome.answers:
        print(f"  < {answer.status} {answer.headers!r}\n    {answer.body!r}")
    print("  closed" if outcome.closed else "  left open")
    wrong = faults(case, outcome)
    for sentence in wrong:
        print(f"wrong: {sentence}")
    return 1 if wrong else 0


def _report(tally: Tally) -> int:
    print(f"seed {tally.seed}: {tally.done:,} cases")
    print(f"the gateway's loop was at most {tally.lag_s * 1000:.0f} ms late")
    for title, counts in (
        ("code", tally.commits),
        ("answers", tally.statuses),
        ("kinds", tally.kinds),
        ("endpoints", tally.endpoints),
    ):
        print(f"{title}: {', '.join(f'{name} {n:,}' for name, n in sorted(counts.items()))}")
    for item in tally.found:
        print(f"FOUND case {item['case']} ({item['kind']}): {'; '.join(item['wrong'])}")
        for piece in item["bytes"]:
            print(f"  > {piece}")
    print("nothing found" if not tally.found else f"{len(tally.found)} found")
    return 1 if tally.found else 0


def _load(path: Path | None, seed: int) -> Tally:
    if path is None or not path.exists():
        return Tally(seed)
    kept = orjson.loads(path.read_bytes())
    # Older files don't say which code it was.
    kept.setdefault("commits", {UNKNOWN: kept["done"]})
    for name in ("commits", "statuses", "kinds", "endpoints"):
        kept[name] = Counter(kept[name])
    if kept["seed"] != seed:
        raise SystemExit(f"{path} is of seed {kept['seed']}")
    return Tally(**kept)


def _save(path: Path, tally: Tally) -> None:
    # Replaced whole: whoever stops this in the middle of a write keeps the one before.
    beside = path.with_suffix(".new")
    beside.write_bytes(orjson.dumps(vars(tally), option=orjson.OPT_INDENT_2))
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
