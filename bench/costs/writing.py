"""What a worker and its Postgres take: the commit, the event in it, and what stays on disk."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx2
import psycopg

from bench.contenders.contender import Pace
from bench.contenders.holdfast import Holdfast
from bench.loads import SETTLE_S, sleep_until
from bench.rig.clocks import cpu_of, family
from bench.rig.readers import LoadFailed
from bench.rig.services import Service

# As the model's default load has it: a full worker whose sessions have two events a second each.
SESSIONS = 200
PACED = Pace(events=24, every_us=500_000)

# The same sessions as fast as they are let: commits as large as they get.
UNPACED = Pace(events=500, every_us=0)

BEGIN_IN_S = 5.0


@dataclass(frozen=True, slots=True)
class Written:
    """So many events in so many commits, and what they took of each."""

    events: float
    commits: float
    seconds: float
    worker_us: float
    postgres_us: float
    wal_bytes: float
    disk_bytes: float


def split(few: tuple[float, float, float], many: tuple[float, float, float]) -> tuple[float, float]:
    """Return what a commit takes and what an event takes, of two loads' (events, commits, all that was taken).

    Two equations with two unknowns. Neither is less than nothing: where noise says so it is nothing, and the other one
    takes what the second load, with its large commits, has measured.
    """
    (e1, c1, all1), (e2, c2, all2) = few, many
    commit = max(0.0, (all1 * e2 - all2 * e1) / (c1 * e2 - c2 * e1))
    return commit, max(0.0, (all2 - commit * c2) / e2)


def writing_costs(base: Holdfast, worker: Service) -> Mapping[str, float]:
    """Return the model's costs of a worker and of Postgres by name. `worker` is the only one of `base`'s log."""
    paced = _written(base, worker, PACED)
    unpaced = _written(base, worker, UNPACED)

    def of(field: str) -> tuple[float, float]:
        few, many = (
            (load.events, load.commits, float(getattr(load, field))) for load in (paced, unpaced)
        )
        return split(few, many)

    worker_commit, worker_event = of("worker_us")
    postgres_commit, postgres_event = of("postgres_us")
    wal_commit, wal_event = of("wal_bytes")
    return {
        "worker_commit_us": worker_commit,
        "worker_event_us": worker_event,
        "postgres_commit_us": postgres_commit,
        "postgres_event_us": postgres_event,
        "postgres_wal_commit_bytes": wal_commit,
        "postgres_wal_bytes": wal_event,
        "postgres_event_bytes": unpaced.disk_bytes / unpaced.events,
        "gather_s": _gathering(paced),
    }


def _gathering(load: Written) -> float:
    """Return for how long a worker gathers before it commits, from how many events a commit had."""
    return (load.events / load.commits - 1) / (load.events / load.seconds)


def _written(base: Holdfast, worker: Service, pace: Pace) -> Written:
    names = base.sessions(SESSIONS)
    begin = time.monotonic_ns() + int(BEGIN_IN_S * 1e9)
    base.publish(names, Pace(pace.events, pace.every_us, begin))
    if time.monotonic_ns() > begin:
        raise LoadFailed("the runs were not asked for before they had to begin")
    postgres = base.stack.pid("postgres")
    with psycopg.connect(base.database_url, autocommit=True) as look:
        sleep_until(begin)
        before, began = _now(look, worker, postgres), time.monotonic()
        if pace.every_us:
            # Between the first event and the last: runs that begin and end are another price.
            time.sleep(pace.every_us * (pace.events - 1) / 1e6)
        else:
            base.settle(SETTLE_S)
        after, took = _now(look, worker, postgres), time.monotonic() - began
    base.settle(SETTLE_S)
    events, commits, *rest = (b - a for a, b in zip(before, after, strict=True))
    return Written(events, commits, took, *rest)


def _now(
    look: "psycopg.Connection[tuple[object, ...]]", worker: Service, postgres: int
) -> Sequence[float]:
    """In the order of Written, but for the seconds."""
    page = httpx2.get(f"http://127.0.0.1:{worker.port}/metrics", timeout=5, trust_env=False).text
    counted = [
        float(re.findall(rf"^{name} (\S+)$", page, re.MULTILINE)[0])
        for name in ("holdfast_events_appended_total", "holdfast_event_append_seconds_count")
    ]
    query = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn, pg_total_relation_size('events')"
    wal, disk = look.execute(query).fetchall()[0]
    used = (cpu_of(worker.pids) * 1e6, cpu_of(family(postgres)) * 1e6)
    return [*counted, *used, float(str(wal)), float(str(disk))]
