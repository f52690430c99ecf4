"""What a worker and its Postgres take: the commit, the event in it, and what stays on disk."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

import psycopg

from bench.contenders.contender import Pace
from bench.contenders.holdfast import Holdfast
from bench.loads import SETTLE_S, begin_together
from bench.rig.clocks import cpu_of, family
from bench.rig.readers import LoadFailed
from bench.rig.services import Service

# As the model's default load has it: a full worker whose sessions have two events a second each.
SESSIONS = 200
PACED = Pace(events=24, every_us=500_000)

# The same sessions as fast as they are let: commits as large as they get.
UNPACED = Pace(events=500, every_us=0)

# What happens in this time without any event is nobody's price.
IDLE_S = 10.0

LOOK_S = 0.1

# Less than that share of what a pace asks for was another load.
KEPT_PACE = 0.9


@dataclass(frozen=True, slots=True)
class Account:
    """What is counted, at one moment or over a time."""

    seconds: float
    events: float
    commits: float
    commit_s: float
    worker_us: float
    postgres_us: float
    wal_bytes: float
    disk_bytes: float

    def __sub__(self, before: "Account") -> "Account":
        return Account(*(a - b for a, b in zip(astuple(self), astuple(before), strict=True)))


def split(few: tuple[float, float, float], many: tuple[float, float, float]) -> tuple[float, float]:
    """Return what a commit takes and what an event takes, of two loads' (events, commits, all that was taken).

    Two equations with two unknowns. Raises ValueError when either comes out as nothing or less: that is noise.
    """
    (e1, c1, all1), (e2, c2, all2) = few, many
    commit = (all1 * e2 - all2 * e1) / (c1 * e2 - c2 * e1)
    event = (all2 - commit * c2) / e2
    if min(commit, event) <= 0:
        raise ValueError(f"a commit would take {commit:g} and an event {event:g}: measure again")
    return commit, event


def writing_costs(base: Holdfast, worker: Service) -> Mapping[str, float]:
    """Return the model's costs of a worker and of Postgres by name. `worker` is the only one of `base`'s log."""
    books = Books(base, worker)
    names = base.sessions(SESSIONS)
    idle = books.over(IDLE_S)
    paced = books.paced(names, PACED)
    unpaced = books.unpaced(names, UNPACED)

    def of(field: str) -> tuple[float, float]:
        rate = getattr(idle, field) / idle.seconds
        few, many = (
            (load.events, load.commits, getattr(load, field) - rate * load.seconds)
            for load in (paced, unpaced)
        )
        return split(few, many)

    worker_commit, worker_event = of("worker_us")
    postgres_commit, postgres_event = of("postgres_us")
    wal_commit, wal_event = of("wal_bytes")
    return {
        "worker_commit_us": worker_commit,
        "worker_event_us": worker_event,
        "commit_ms": paced.commit_s / paced.commits * 1e3,
        "postgres_commit_us": postgres_commit,
        "postgres_event_us": postgres_event,
        "postgres_wal_commit_bytes": wal_commit,
        "postgres_wal_bytes": wal_event,
        "postgres_event_bytes": unpaced.disk_bytes / unpaced.events,
    }


class Books:
    """The accounts of a worker and its Postgres."""

    def __init__(self, base: Holdfast, worker: Service) -> None:
        self._base, self._worker = base, worker
        self._postgres = base.stack.pid("postgres")

    def over(self, seconds: float) -> Account:
        """Return what was taken in so long a time from now."""
        before = self._now()
        time.sleep(seconds)
        return self._now() - before

    def paced(self, names: Sequence[str], pace: Pace) -> Account:
        """Return what a pace took between its first event and its last: runs that begin and end are another price."""
        begin_together(self._base, names, pace)
        taken = self.over(pace.every_us * (pace.events - 1) / 1e6)
        self._base.settle(SETTLE_S)
        if taken.events < KEPT_PACE * len(names) * (pace.events - 1):
            raise LoadFailed(f"{taken.events:,.0f} events: the pace was not kept")
        return taken

    def unpaced(self, names: Sequence[str], pace: Pace) -> Account:
        """Return what it took until all was recorded."""
        begin_together(self._base, names, pace)
        before = self._now()
        due = before.events + len(names) * pace.events
        deadline = time.monotonic() + SETTLE_S
        while self._worker.counted("holdfast_events_appended_total") < due:
            if time.monotonic() > deadline:
                raise LoadFailed(f"not everything was recorded within {SETTLE_S:g} s")
            time.sleep(LOOK_S)
        taken = self._now() - before
        self._base.settle(SETTLE_S)
        return taken

    def _now(self) -> Account:
        query = """select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8,
                          pg_total_relation_size('events')::float8"""
        with psycopg.connect(self._base.database_url) as connection:
            [(wal, disk)] = connection.execute(query).fetchall()
        return Account(
            seconds=time.monotonic(),
            events=self._worker.counted("holdfast_events_appended_total"),
            commits=self._worker.counted("holdfast_event_append_seconds_count"),
            commit_s=self._worker.counted("holdfast_event_append_seconds_sum"),
            worker_us=cpu_of(self._worker.pids) * 1e6,
            postgres_us=cpu_of(family(self._postgres)) * 1e6,
            wal_bytes=wal,
            disk_bytes=disk,
        )
