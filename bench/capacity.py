"""`python -m bench.capacity --clients 1e6`: what so many clients need, from what `bench.costs` measured here.

A model on paper: it multiplies and adds. It tells what breaks first and what to buy more of; it does not know your
network, your disks or your events, so put your own numbers in (`--help`; `--cost NAME=VALUE` for what you measured).
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated

from rich.console import Console
from rich.table import Table

from bench.costs.kept import Costs, meanings, measured_on
from holdfast.events.pool_postgres import GATEWAY_CONNECTIONS, WORKER_CONNECTIONS
from holdfast.orchestrator.recorder import BATCH_EVENTS_MAX, COMMITS


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What one instance of each is trusted with."""

    busy: Annotated[float, "of a core, so that a wave or a lost neighbour finds room"] = 0.6
    streams: Annotated[int, "of a gateway process (HOLDFAST_STREAMS_MAX)"] = 10_000
    sessions_owned: Annotated[int, "of a worker process (HOLDFAST_SESSIONS_MAX)"] = 200
    redis_cores: Annotated[float, "it runs commands in one thread"] = 1.0
    redis_gb: Annotated[float, "of one Redis"] = 32.0
    postgres_cores: Annotated[float, "of one Postgres"] = 32.0
    postgres_wal_mb_s: Annotated[float, "what its disk takes"] = 200.0
    postgres_commits: Annotated[
        float, "a second: what ten connections got out of one disk, a commit for each event"
    ] = 15_000.0
    postgres_connections: Annotated[int, "of one Postgres"] = 1_000


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the deployment."""

    clients: Annotated[float, "how many"] = 10_000
    clients_per_session: Annotated[float, "readers of each session"] = 1.0
    active: Annotated[float, "share of the watched sessions with a run at work"] = 0.1
    events_per_s: Annotated[float, "of an active session, deltas gathered"] = 2.0
    connects_per_client_hour: Annotated[float, "phones that sleep, networks that change"] = 6.0
    wave_s: Annotated[float, "in which all have to be back when all were cut off"] = 30.0
    window_events: Annotated[float, "kept in Redis of an active session"] = 500.0
    retention_days: Annotated[float, "until a session is erased"] = 30.0
    check_s: Annotated[float, "between two head checks of a gateway"] = 2.5
    heartbeat_s: Annotated[float, "between two heartbeats to an idle client"] = 15.0

    @property
    def sessions(self) -> float:
        return self.clients / self.clients_per_session

    @property
    def events(self) -> float:
        """Per second, of all sessions."""
        return self.sessions * self.active * self.events_per_s


@dataclass(frozen=True, slots=True)
class Need:
    """What it takes. `cores` are busy cores; processes are counted with room to spare."""

    events: float
    deliveries: float
    gateways: int
    gateway_cores: float
    gateway_gb: float
    wave_cores: float
    wave_seconds: float
    workers: int
    worker_cores: float
    redis_shards: int
    redis_cores: float
    redis_gb: float
    postgres_cores: float
    pulse_cores: float
    commits: float
    wal_mb_s: float
    disk_gb: float
    connections: int
    idle_statements: float

    def first_to_break(self, ceilings: Ceilings) -> Sequence[tuple[str, float]]:
        """Return what one Redis and one Postgres are loaded to, as shares of what they are trusted with."""
        shares = {
            "Redis CPU": self.redis_cores / (ceilings.redis_cores * ceilings.busy),
            "Redis memory": self.redis_gb / ceilings.redis_gb,
            "Postgres CPU": self.postgres_cores / (ceilings.postgres_cores * ceilings.busy),
            "Postgres WAL": self.wal_mb_s / ceilings.postgres_wal_mb_s,
            "Postgres commits": self.commits / ceilings.postgres_commits,
            "Postgres connections": self.connections / ceilings.postgres_connections,
        }
        return sorted(shares.items(), key=lambda share: -share[1])


# More gateways watch more of the same sessions, which needs more gateways: each round adds less than the one before.
SETTLING_ROUNDS = 20


def needed(load: Load, costs: Costs, ceilings: Ceilings) -> Need:
    """Multiply and add. The number of gateways decides who watches what, and is decided by that: rounds settle it."""
    found = _needed(load, costs, ceilings, 1)
    for _ in range(SETTLING_ROUNDS):
        found = _needed(load, costs, ceilings, found.gateways)
    return found


def _needed(load: Load, costs: Costs, ceilings: Ceilings, gateways: int) -> Need:
    events, deliveries = load.events, load.events * load.clients_per_session
    # Readers fall on gateways as they like: so many gateways have one or more of a session's.
    hearing = gateways * (1 - (1 - 1 / gateways) ** load.clients_per_session)
    watched = load.sessions * hearing
    beats = load.clients * (1 - load.active) / load.heartbeat_s
    connects = load.clients * load.connects_per_client_hour / 3600
    gateway_us = (
        events * hearing * costs.gateway_take_us
        + (deliveries + beats) * costs.gateway_write_us
        + connects * costs.gateway_connect_us
        + watched / load.check_s * costs.gateway_pulse_us
    )
    gateway_cores = gateway_us / 1e6
    wave_cores = load.clients / load.wave_s * costs.gateway_connect_us / 1e6
    more = max(
        _up(gateway_cores / ceilings.busy),
        # A wave may take all of a core: live readers wait for some 20 ms then.
        _up(wave_cores),
        _up(load.clients / ceilings.streams),
    )
    active_sessions = load.sessions * load.active
    workers, commits, calls = _writing(load, costs, ceilings)
    worker_cores = (commits * costs.worker_commit_us + events * costs.worker_event_us) / 1e6
    redis_cores = (
        commits * costs.redis_trip_us
        + calls * (costs.redis_call_us + hearing * costs.redis_wake_us)
        + events * costs.redis_event_us
    ) / 1e6
    redis_gb = (
        active_sessions * load.window_events * costs.redis_event_bytes
        + watched * costs.redis_channel_bytes
    ) / 1e9
    pulse_cores = watched / load.check_s * costs.postgres_pulse_us / 1e6
    postgres_us = commits * costs.postgres_commit_us + events * costs.postgres_event_us
    return Need(
        events=events,
        deliveries=deliveries,
        gateways=more,
        gateway_cores=gateway_cores,
        gateway_gb=(
            load.clients * costs.gateway_stream_bytes + watched * costs.gateway_session_bytes
        )
        / 1e9,
        wave_cores=wave_cores,
        wave_seconds=load.clients * costs.gateway_connect_us / 1e6 / more,
        workers=workers,
        worker_cores=worker_cores,
        redis_shards=max(
            _up(redis_cores / (ceilings.redis_cores * ceilings.busy)),
            _up(redis_gb / ceilings.redis_gb),
        ),
        redis_cores=redis_cores,
        redis_gb=redis_gb,
        postgres_cores=postgres_us / 1e6 + pulse_cores,
        pulse_cores=pulse_cores,
        commits=commits,
        wal_mb_s=(commits * costs.postgres_wal_commit_bytes + events * costs.postgres_wal_bytes)
        / 1e6,
        disk_gb=events * 86_400 * load.retention_days * costs.postgres_event_bytes / 1e9,
        connections=more * GATEWAY_CONNECTIONS + workers * WORKER_CONNECTIONS,
        idle_statements=more * costs.gateway_statements + workers * costs.worker_statements,
    )


def _writing(load: Load, costs: Costs, ceilings: Ceilings) -> tuple[int, float, float]:
    """Return how many workers, and how many commits and sessions' publishes they make a second in all.

    A worker commits as often as there is something to commit, until its disk or its core is at its limit: then what
    comes meanwhile gathers, and a commit holds more. So it is events that need workers, not commits.
    """
    events, active = load.events, load.sessions * load.active
    fullest_us = costs.worker_event_us + costs.worker_commit_us / BATCH_EVENTS_MAX
    workers = max(
        _up(active / ceilings.sessions_owned), _up(events * fullest_us / 1e6 / ceilings.busy)
    )
    each = events / workers
    left_us = ceilings.busy * 1e6 - each * costs.worker_event_us
    commits = min(each, COMMITS / costs.commit_ms * 1e3, left_us / costs.worker_commit_us)
    # Whatever gathered of one session is published in one call.
    calls = min(each, commits * active / workers)
    return workers, workers * commits, workers * calls


def _up(value: float) -> int:
    return max(1, math.ceil(value - 1e-9))  # 2,000.0000000002 is 2,000


# How each number is said.
ROWS: Mapping[str, tuple[str, str]] = {
    "events": ("events/s", "{:,.0f}"),
    "deliveries": ("deliveries/s", "{:,.0f}"),
    "gateways": ("gateway processes", "{:,}"),
    "gateway_cores": ("their busy cores", "{:,.1f}"),
    "gateway_gb": ("their memory, GB", "{:,.1f}"),
    "wave_cores": ("cores busy while all come back", "{:,.1f}"),
    "wave_seconds": ("seconds until all are back", "{:,.0f}"),
    "workers": ("worker processes", "{:,}"),
    "worker_cores": ("their busy cores, without your code's", "{:,.1f}"),
    "redis_shards": ("Redis servers", "{:,}"),
    "redis_cores": ("Redis, busy cores", "{:,.2f}"),
    "redis_gb": ("Redis, GB", "{:,.1f}"),
    "postgres_cores": ("Postgres, busy cores", "{:,.1f}"),
    "pulse_cores": ("of them for head checks", "{:,.1f}"),
    "commits": ("Postgres, commits/s", "{:,.0f}"),
    "wal_mb_s": ("Postgres, WAL MB/s", "{:,.1f}"),
    "disk_gb": ("Postgres, GB kept", "{:,.0f}"),
    "connections": ("Postgres, connections", "{:,}"),
    "idle_statements": ("statements/s when nothing happens", "{:,.0f}"),
}


def lines(loads: Sequence[Load], costs: Costs, ceilings: Ceilings) -> list[list[str]]:
    """Return the table's rows: what, then one cell for each load."""
    needs = [needed(load, costs, ceilings) for load in loads]
    rows = [
        [text, *(how.format(getattr(need, name)) for need in needs)]
        for name, (text, how) in ROWS.items()
    ]
    breaks = [need.first_to_break(ceilings)[:2] for need in needs]
    said = ["; ".join(f"{what} {share:.0%}" for what, share in worst) for worst in breaks]
    return [*rows, ["one Redis and one Postgres, of what they bear", *said]]


def markdown(loads: Sequence[Load], costs: Costs, ceilings: Ceilings) -> str:
    """Return the table as a page has it."""
    head = ["clients", *(f"{load.clients:,.0f}" for load in loads)]
    rows = [head, ["---", *("---:" for _ in loads)], *lines(loads, costs, ceilings)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.capacity",
        description=__doc__,
        epilog=_named(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clients", default="1e4,1e5,1e6", help="how many, separated by commas")
    meaning = meanings(Load)
    for field in fields(Load):
        if field.name != "clients":
            parser.add_argument(
                f"--{field.name.replace('_', '-')}",
                type=float,
                default=field.default,
                help=f"{meaning[field.name]} (%(default)g)",
            )
    for word in ("--cost", "--ceiling"):
        parser.add_argument(
            word, action="append", default=[], metavar="NAME=VALUE", help="repeatable; names below"
        )
    parser.add_argument("--markdown", action="store_true", help="as docs/scaling.md has it")
    given = parser.parse_args(argv)
    try:
        costs = replace(Costs.measured(), **_changed(Costs, given.cost))
        ceilings = replace(Ceilings(), **_changed(Ceilings, given.ceiling))
    except ValueError as error:
        parser.error(str(error))
    shared = {f.name: getattr(given, f.name) for f in fields(Load) if f.name != "clients"}
    try:
        loads = [Load(clients=float(one), **shared) for one in given.clients.split(",")]
    except ValueError:
        parser.error("--clients is a number, or several with commas between them: 1e4,1e5")
    if given.markdown:
        print(markdown(loads, costs, ceilings), end="")
        return 0
    table = Table(caption=f"costs {measured_on()}; docs/scaling.md")
    table.add_column("clients")
    for load in loads:
        table.add_column(f"{load.clients:,.0f}", justify="right")
    for row in lines(loads, costs, ceilings):
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    return 0


def _named() -> str:
    """Return what `--cost` and `--ceiling` can change, and what each is now."""
    lines: list[str] = []
    for title, now in (("costs", Costs.measured()), ("ceilings", Ceilings())):
        lines.append(f"{title}:")
        for name, meaning in meanings(type(now)).items():
            lines.append(f"  {name:<26}{getattr(now, name):>12,.6g}  {meaning}")
    return "\n".join(lines)


def _changed(kind: type[Costs] | type[Ceilings], words: Sequence[str]) -> dict[str, float]:
    known = {field.name for field in fields(kind)}
    changed: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in known:
            raise ValueError(f"there is no {name!r}; there are {', '.join(sorted(known))}")
        changed[name] = float(value)
        if not 0 < changed[name] < math.inf:
            raise ValueError(f"{name} is a number above 0")
    return changed


if __name__ == "__main__":
    sys.exit(main())
