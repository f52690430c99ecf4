"""Bytes for each 1,000 tokens: in Postgres, in Redis and to a client, with and without coalescing.

A real stack, the production write path, one message of 1,000 tokens in each session. What Postgres takes is what the
sizes of its files and its WAL grow by, over all that a round writes: events, the step's result, the run, its command,
leases. What Redis takes is what it says of each window.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.history.readers import Reader
from bench.history.workflows import TOKENS
from tests.e2e.stack import Stack
from tests.faults.rig import Rig

WORKFLOWS = Path(__file__).with_name("workflows.py")

TOKENS_SAID = 1_000
TEXT_BYTES = sum(len(TOKENS[n % len(TOKENS)]) for n in range(TOKENS_SAID))

# Sessions of a round: the pages of 8 KB that a file grows by are then a fiftieth of what is measured.
SESSIONS = 10

# What the worker is told in each mode.
MODES: Mapping[str, Mapping[str, str]] = {
    "off": {"HOLDFAST_COALESCE_MS": "0"},
    "on": {},
}

_SIZES = """
select coalesce(sum(pg_relation_size(c.oid)) filter (where c.relname = 'events'), 0) as heap,
       coalesce(sum(pg_table_size(c.oid) - pg_relation_size(c.oid)) filter (where c.relname = 'events'), 0) as toast,
       coalesce(sum(pg_indexes_size(c.oid)) filter (where c.relname = 'events'), 0) as indexes,
       coalesce(sum(pg_total_relation_size(c.oid)) filter (where c.relname <> 'events'), 0) as others,
       pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as wal
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and n.nspname = 'public'
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes for each 1,000 tokens, each as min, median and max over rounds or sessions; and events."""

    mode: str
    per_s: float
    events: Sequence[float]
    heap: Sequence[float]
    toast: Sequence[float]
    indexes: Sequence[float]
    others: Sequence[float]
    wal: Sequence[float]
    redis: Sequence[float]
    wire: Sequence[float]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def measure(
    mode: str, place: Path, rates: Sequence[float], *, rounds: int, say: Callable[[str], object]
) -> list[Cost]:
    """Measure one mode at each rate, on a stack of its own."""
    stack = Stack(place / f"data-{mode}", "--quiet", str(WORKFLOWS), **MODES[mode]).ready()
    rig = Rig(stack)
    try:
        # What a stack does once (plans, checkpoints, the first pages of every table) is not a message's cost.
        _round(stack, rig, 200.0)
        found: list[Cost] = []
        for rate in rates:
            seen: list[Mapping[str, Sequence[float]]] = []
            for turn in range(rounds):
                say(f"coalescing {mode}, {rate:g} tokens/s: {turn + 1} of {rounds}")
                seen.append(_round(stack, rig, rate))
            columns = {name: three([x for one in seen for x in one[name]]) for name in seen[0]}
            found.append(Cost(mode, rate, **columns))
        return found
    finally:
        rig.close()
        stack.stop()


def three(values: Sequence[float]) -> Sequence[float]:
    """Return min, median and max."""
    ordered = sorted(values)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def _round(stack: Stack, rig: Rig, rate: float) -> Mapping[str, Sequence[float]]:
    before = _sizes(rig)
    runs = [stack.start("talk", {"tokens": TOKENS_SAID, "per_s": rate}) for _ in range(SESSIONS)]
    readers = asyncio.run(_read(stack.url, [run["run_id"] for run in runs]))
    for run in runs:
        assert stack.ended(run["run_id"], within_s=120)["status"] == "completed"
    after = _sizes(rig)
    sessions = [run["session_id"] for run in runs]
    numbers = rig.rows("select id from sessions where session_id = any(%s)", sessions)
    heads = rig.rows("select next_seq - 1 from sessions where session_id = any(%s)", sessions)
    grown = {name: [(after[name] - before[name]) / SESSIONS] for name in before}
    return {
        "events": [float(head) for (head,) in heads],
        **grown,
        "redis": [_window_bytes(stack, number) for (number,) in numbers],
        "wire": [float(reader.size) for reader in readers],
    }


def _sizes(rig: Rig) -> Mapping[str, float]:
    names = ("heap", "toast", "indexes", "others", "wal")
    return dict(zip(names, map(float, rig.rows(_SIZES)[0]), strict=True))


def _window_bytes(stack: Stack, session: int) -> float:
    [key] = [name for name in stack.windows() if b":{%d}:" % session in name]
    return float(stack.redis("MEMORY", "USAGE", key, "SAMPLES", 0))


async def _read(url: str, runs: Sequence[str]) -> Sequence[Reader]:
    return await asyncio.gather(*(Reader(f"{url}/v1/runs/{run}/stream").read(None) for run in runs))
