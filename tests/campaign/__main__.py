"""The long campaign: `python -m tests.campaign --state FILE`. It may be broken off at any time and resumed.

Processes may play beside each other, each with a state of its own: `--merge A.json B.json --state WHOLE.json` adds up.

Exit codes: 0 when nothing is broken so far, 1 for a violation or a counter that stayed silent, 2 for a wrong word.
"""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.campaign.counters import silent
from tests.campaign.engine import Played, play, servers_of, stage
from tests.campaign.registry import ALL, SCENARIOS
from tests.campaign.report import counters, markdown, table
from tests.campaign.scenario import Scenario
from tests.campaign.state import State
from tests.code_at_work import commit

# A stack is brought up in three seconds; a fresh one after some minutes keeps databases and logs small.
ROUNDS_TO_A_STACK = 5

EXIT_BROKEN, EXIT_USAGE = 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Go on with a campaign; return the exit code."""
    given = _parser().parse_args(argv)
    unknown = [name for name in given.only if name not in SCENARIOS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(SCENARIOS)}", file=sys.stderr)
        return EXIT_USAGE
    chosen = [SCENARIOS[name] for name in given.only] or list(ALL)
    if given.merge:
        return _merge(given.merge, given.state)
    state = State(given.state)
    if given.report is None:
        deadline = time.monotonic() + given.minutes * 60
        try:
            asyncio.run(_campaign(chosen, state, deadline, given.seed, given.units))
        except KeyboardInterrupt:
            print("broken off; the same command goes on", file=sys.stderr)
    else:
        given.report.write_text(markdown(ALL, state), encoding="utf-8")
    print(table(ALL, state))
    return _verdict(chosen, state)


def _merge(parts: Sequence[Path], into: Path | None) -> int:
    """Write the sum of several states."""
    if into is None or into.exists():
        print("--merge wants --state: a file that is not there yet", file=sys.stderr)
        return EXIT_USAGE
    if missing := [str(part) for part in parts if not part.exists()]:
        print(f"not there: {', '.join(missing)}", file=sys.stderr)
        return EXIT_USAGE
    whole = State(into)
    for part in parts:
        whole.merge(State(part))
    whole.save()
    print(table(ALL, whole))
    return _verdict(ALL, whole)


async def _campaign(
    chosen: Sequence[Scenario],
    state: State,
    deadline: float,
    seed: int | None,
    units: int | None,
) -> None:
    """Give the scenarios their turns until all are done or the time is over."""
    commit()  # now, while it is still the code that is about to be played
    while time.monotonic() < deadline:
        left = [s for s in chosen if state.total(s).units < (units or s.units)]
        if not left:
            return
        # Whoever is furthest behind comes next, so that a short sitting has something of each.
        scenario = min(left, key=lambda s: state.total(s).units / (units or s.units))
        await _rounds(scenario, state, deadline, seed, units or scenario.units)


async def _rounds(
    scenario: Scenario, state: State, deadline: float, seed: int | None, goal: int
) -> None:
    total = state.total(scenario)
    async with (
        servers_of(scenario) as servers,
        stage(scenario, servers, servers.root / "field") as field_,
    ):
        for _ in range(ROUNDS_TO_A_STACK):
            if total.units >= goal or time.monotonic() > deadline:
                return
            played = await play(
                scenario,
                field_,
                seed=secrets.randbelow(2**32) if seed is None else seed,
                first=total.units,
                count=min(scenario.batch, goal - total.units),
            )
            total.add(played)
            state.save()
            print(_line(scenario, played, total.units, goal), flush=True)
            for violation in played.verdict.violations:
                print(violation, flush=True)
            if seed is not None:
                seed += 1


def _line(scenario: Scenario, played: Played, units: int, goal: int) -> str:
    verdict = played.verdict
    return (
        f"{time.strftime('%H:%M:%S')} {scenario.name} {units:,}/{goal:,}: {played.units} in {played.seconds:.0f} s,"
        f" {verdict.runs} runs, {verdict.events:,} events, seed {played.seed},"
        f" {len(verdict.violations) or 'no'} violations"
    )


def _verdict(chosen: Sequence[Scenario], state: State) -> int:
    broken = False
    for scenario in chosen:
        total = state.total(scenario)
        if total.violated:
            broken = True
        # Only a whole campaign has had the chance to provoke everything.
        if total.units >= scenario.units and (missed := total.silent(scenario)):
            print(f"{scenario.name}: never happened: {', '.join(missed)}", file=sys.stderr)
            broken = True
    whole = all(state.total(scenario).units >= scenario.units for scenario in ALL)
    if whole and (never := silent(counters([state.total(scenario) for scenario in ALL]))):
        print(f"never happened in the whole campaign: {'; '.join(never)}", file=sys.stderr)
        broken = True
    return EXIT_BROKEN if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--state", type=Path, help="where the totals are kept between sittings")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help=", ".join(SCENARIOS)
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long this sitting may be")
    parser.add_argument("--seed", type=int, help="of the first round; the next ones count up")
    parser.add_argument("--units", type=int, help="fewer than a whole campaign of each")
    parser.add_argument(
        "--merge", nargs="+", type=Path, metavar="FILE", help="write the sum of these as the state"
    )
    parser.add_argument("--report", type=Path, help="write the Markdown and play nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
