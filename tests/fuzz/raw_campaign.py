"""Many raw cases against one gateway at a time, counted. What is found is kept with its bytes and its number."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.code_at_work import commit
from tests.fuzz.raw_cases import ENDPOINTS, Case, Names, make_case
from tests.fuzz.raw_wire import Outcome, attempt, faults, is_late
from tests.fuzz.target import Target, target

# Half-sent requests take half a second each, so many must wait beside each other.
AT_ONCE = 64

# After so many cases an ordinary request must be answered as ever, and the loop is asked how late it was.
BATCH = 1900

# A gateway keeps what valid cases make. A new one after so many stays as quick as the first.
LEG = 20_000

# How long an ordinary request may take between batches, on a machine that does other things as well.
ORDINARY_S = 5.0

# What is still open when all cases of a batch are over is let go of within this.
RELEASE_S = 10.0

_LAG = re.compile(r"^fuzz_loop_lag_seconds (\S+)$", re.M)


@dataclass
class Tally:
    """What a campaign has seen so far."""

    seed: int
    done: int = 0
    commits: Counter[str] = field(default_factory=Counter[str])  # cases, by the code that answered
    statuses: Counter[str] = field(default_factory=Counter[str])
    kinds: Counter[str] = field(default_factory=Counter[str])
    endpoints: Counter[str] = field(default_factory=Counter[str])
    lag_s: float = 0.0
    found: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def take(self, case: Case, outcome: Outcome) -> None:
        """Count a case, and keep it when something is wrong with it."""
        self.done += 1
        self.commits[commit()] += 1
        self.kinds[case.kind] += 1
        method, path = ENDPOINTS[case.number % len(ENDPOINTS)]
        self.endpoints[f"{method} {path}"] += 1
        for answer in outcome.answers:
            self.statuses[str(answer.status)] += 1
        if not outcome.answers:
            self.statuses["closed"] += 1
        if wrong := faults(case, outcome):
            self.keep(case.number, case.kind, wrong, case.pieces)

    def keep(self, number: int, kind: str, wrong: list[str], pieces: Sequence[bytes] = ()) -> None:
        """Keep what was found."""
        shown = [repr(piece) for piece in pieces]
        self.found.append({"case": number, "kind": kind, "wrong": wrong, "bytes": shown})


async def campaign(
    tally: Tally, cases: int, *, progress: Callable[[Tally], object] = lambda _: None
) -> None:
    """Go on from `tally.done` to `cases`, or to the first batch in which something was wrong."""
    while tally.done < cases and not tally.found:
        async with target() as gateway, _probe(gateway) as probe:
            end = min(cases, tally.done + LEG)
            while tally.done < end and not tally.found:
                await _batch(tally, gateway, range(tally.done, min(end, tally.done + BATCH)))
                await _check(tally, probe)
                progress(tally)


async def replay(seed: int, number: int) -> tuple[Case, Outcome]:
    """Send one case of a campaign to a gateway of its own."""
    async with target() as gateway:
        case = make_case(seed, number, names(gateway))
        return case, await attempt(gateway.port, case)


def names(gateway: Target) -> Names:
    """Return what the cases may name."""
    return Names(gateway.session_id, gateway.run_id, gateway.waiting_run_id)


async def _batch(tally: Tally, gateway: Target, numbers: range) -> None:
    there = names(gateway)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> tuple[Case, Outcome]:
        async with room:
            case = make_case(tally.seed, number, there)
            return case, await attempt(gateway.port, case)

    # Counted in the order of their numbers, so that the same seed makes the same report.
    for case, outcome in await asyncio.gather(*map(one, numbers)):
        if is_late(case, outcome):
            # A crowded machine looks like a hang; a hang is one on an idle connection to an idle gateway, too.
            outcome = await attempt(gateway.port, case)
        tally.take(case, outcome)


@asynccontextmanager
async def _probe(gateway: Target) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        base_url=gateway.url, timeout=ORDINARY_S, trust_env=False
    ) as client:
        yield client


async def _check(tally: Tally, probe: httpx2.AsyncClient) -> None:
    """Ask for something ordinary, and whether anything was left behind."""
    response = await probe.get("/v1/sessions/known")
    if response.status_code != 200 or response.json()["status"] != "active":
        tally.keep(tally.done, "ordinary request", [f"{response.status_code}: {response.text}"])
    lag = _LAG.search((await probe.get("/metrics")).text)
    assert lag is not None
    tally.lag_s = max(tally.lag_s, float(lag[1]))
    try:
        async with asyncio.timeout(RELEASE_S):
            while (await probe.get("/readyz")).json()["streams"]:  # noqa: ASYNC110 - the gateway is elsewhere
                await asyncio.sleep(0.01)
    except TimeoutError:
        tally.keep(tally.done, "leak", ["streams stay open though their clients left"])
