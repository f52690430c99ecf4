"""`python -m tests.simulation`: run seeds, replay one, go on with a campaign.

python -m tests.simulation --seeds 0:5000 --jobs 2
python -m tests.simulation --seed 42 --trace
python -m tests.simulation --seeds 0:1000000 --jobs 2 --seconds 3600 --state campaign.json
python -m tests.simulation --seeds 0:5000 --mutant NAME
"""

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from tests.simulation.campaign import Campaign, run_campaign
from tests.simulation.counters import MUST_FIRE
from tests.simulation.mutant import mutant, mutants
from tests.simulation.schedule import run_schedule

_HOLDS, _BROKEN, _USAGE = 0, 1, 2


def main(argv: list[str] | None = None) -> int:
    """Run what the arguments ask for; return 1 when a promise was broken or something never happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="from:to, without `to`")
    parser.add_argument("--seed", type=int, help="one seed only")
    parser.add_argument("--trace", action="store_true", help="with --seed: tell everything")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--state", type=Path, help="go on where this file ends, and keep it")
    parser.add_argument("--mutant", help="with a bug built in")
    parser.add_argument("--first", action="store_true", help="stop at the first violation")
    parser.add_argument("--counters", action="store_true", help="show all of them")
    parser.add_argument("--mutants", action="store_true", help="list them")
    args = parser.parse_args(argv)
    if args.mutants:
        for one in mutants().values():
            print(f"{one.name:24} {one.breaks}")
        return _HOLDS
    if args.seed is not None:
        return _one(args.seed, trace=args.trace, name=args.mutant)
    try:
        first, last = (int(part) for part in args.seeds.split(":"))
    except ValueError:
        parser.error("--seeds is two numbers: 0:5000")
    campaign = Campaign(first, first)
    if args.state and args.state.exists():
        campaign = Campaign.load(args.state)

    def progress(so_far: Campaign) -> None:
        rate = so_far.schedules / so_far.elapsed_s if so_far.elapsed_s else 0.0
        line = (
            f"\r{so_far.schedules:,} schedules, {rate:.0f}/s, {so_far.events:,} events,"
            f" {len(so_far.broken_seeds)} broken, {len(so_far.silent())} silent "
        )
        print(line, end="", file=sys.stderr, flush=True)
        if args.state:
            so_far.save(args.state)

    run_campaign(
        campaign,
        last,
        jobs=args.jobs,
        budget_s=args.seconds,
        mutant_name=args.mutant,
        stop_at_first=args.first,
        on_progress=progress,
    )
    print(file=sys.stderr)
    return _report(campaign, all_counters=args.counters)


def _one(seed: int, *, trace: bool, name: str | None) -> int:
    verdict = run_schedule(seed, trace=trace, around=mutant(name).apply if name else nullcontext)
    print(*verdict.trace, sep="\n")
    print(*verdict.violations, sep="\n\n")
    print(
        f"seed {seed}: {len(verdict.violations)} violations, {verdict.events} events,"
        f" {verdict.steps:,} steps, {verdict.seconds:.1f} s of virtual time, digest {verdict.digest}"
    )
    return _BROKEN if verdict.violations else _HOLDS


def _report(campaign: Campaign, *, all_counters: bool) -> int:
    for broken in campaign.broken:
        print(f"--- seed {broken.seed}", *broken.says, *broken.schedule, sep="\n")
    if campaign.broken_seeds:
        print(f"broken seeds: {' '.join(map(str, campaign.broken_seeds[:200]))}")
    for name in sorted(campaign.counters) if all_counters else MUST_FIRE:
        print(f"{campaign.counters.get(name, 0):>10,}  {name}")
    for name in campaign.silent():
        print(f"never happened: {name}: {MUST_FIRE[name]}")
    print(
        f"{campaign.schedules:,} schedules in {campaign.elapsed_s:.1f} s, {campaign.events:,} events,"
        f" {campaign.seconds / 3600:.1f} h of virtual time; {len(campaign.broken_seeds)} broken"
    )
    print(*(f"{played:,} of them at {at}" for at, played in campaign.commits.items()), sep="; ")
    return _BROKEN if campaign.broken_seeds or campaign.silent() else _HOLDS


if __name__ == "__main__":
    sys.exit(main())
