"""`python -m bench.capacity --clients 1e6`: what so many clients need, from costs that were measured here.

A model on paper: it multiplies and adds. It tells what breaks first and what to buy more of; it does not know your
network, your disks or your events, so put your own numbers in (`--help`; `--cost NAME=VALUE` for what you measured).
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from rich.console import Console
from rich.table import Table

from holdfast.events.pool_postgres import GATEWAY_CONNECTIONS, WORKER_CONNECTIONS
from holdfast.orchestrator.recorder import COMMITS

# When the costs below were measured: on two cores of an AMD EPYC, shared with other work, so nearer their worst.
MEASURED = "2026-11-21"


@dataclass(frozen=True, slots=True)
class Costs:
    """What one thing takes: CPU in µs, memory and disk in bytes. `python -m bench`, `bench.curve`, `bench.idle`."""

    gateway_take_us: float = (
        25.0  # an event taken in, once for each gateway that has readers of its session
    )
    gateway_write_us: float = 5.5  # one event to one reader, when they come one by one
    gateway_connect_us: float = 550.0  # a connect, to its first event
    gateway_pulse_us: float = 2.0  # a session's share of a head check
    gateway_stream_bytes: float = 4_000.0  # an idle connection, the kernel's buffers aside
    gateway_session_bytes: float = 4_000.0  # a watched session with an empty ring
    redis_publish_us: float = 6.0  # one event, in a call of one
    redis_wake_us: float = 1.7  # on top for each gateway that hears of it
    redis_event_bytes: float = 300.0  # in a window
    redis_channel_bytes: float = 232.0  # a subscription of one gateway to one session
    postgres_event_us: float = 50.0  # one event at small commits; 24 at large ones
    postgres_pulse_us: float = 7.6  # one session in a head check
    postgres_wal_bytes: float = 944.0  # of one event
    postgres_event_bytes: float = 650.0  # on disk, indexes included
    worker_event_us: float = 90.0  # one event at small commits; 39 at large ones
    worker_statements: float = 9.6  # a second, of a worker with nothing to do
    gateway_statements: float = 0.6


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What one instance of each is trusted with."""

    busy: float = 0.6  # of a core, so that a wave or a lost neighbour finds room
    streams: int = 10_000  # of a gateway process (HOLDFAST_STREAMS_MAX)
    sessions_owned: int = 200  # of a worker process (HOLDFAST_SESSIONS_MAX)
    redis_cores: float = 1.0  # it runs commands in one thread
    redis_gb: float = 32.0
    postgres_cores: float = 32.0
    postgres_wal_mb_s: float = 200.0
    postgres_commits: float = (
        15_000.0  # what ten connections got out of one disk, a commit for each event
    )
    postgres_connections: int = 1_000


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the deployment."""

    clients: float = 10_000
    clients_per_session: float = 1.0
    active: float = 0.1  # share of the watched sessions with a run at work
    events_per_s: float = 2.0  # of an active session, deltas gathered
    event_bytes: float = 230.0
    connects_per_client_hour: float = 6.0  # phones that sleep, networks that change
    wave_s: float = 30.0  # in which everybody has to be back when everybody was cut off
    window_events: float = 500.0  # of an active session, in Redis
    retention_days: float = 30.0
    check_s: float = 2.5  # between two head checks
    heartbeat_s: float = 15.0

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


# While a worker's commits in flight last, what comes gathers for the next one.
COMMIT_S = 0.002

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
    worker_cores = events * costs.worker_event_us / 1e6
    workers = max(_up(worker_cores / ceilings.busy), _up(active_sessions / ceilings.sessions_owned))
    redis_cores = events * (costs.redis_publish_us + hearing * costs.redis_wake_us) / 1e6
    redis_gb = (
        active_sessions * load.window_events * costs.redis_event_bytes
        + watched * costs.redis_channel_bytes
    ) / 1e9
    pulse_cores = watched / load.check_s * costs.postgres_pulse_us / 1e6
    each = events / workers
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
        postgres_cores=events * costs.postgres_event_us / 1e6 + pulse_cores,
        pulse_cores=pulse_cores,
        commits=workers * each / (1 + each * COMMIT_S / COMMITS),
        wal_mb_s=events * costs.postgres_wal_bytes / 1e6,
        disk_gb=events * 86_400 * load.retention_days * costs.postgres_event_bytes / 1e9,
        connections=more * GATEWAY_CONNECTIONS + workers * WORKER_CONNECTIONS,
        idle_statements=more * costs.gateway_statements + workers * costs.worker_statements,
    )


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
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    parser.add_argument("--clients", default="1e4,1e5,1e6", help="how many, separated by commas")
    for field in fields(Load):
        if field.name != "clients":
            option = f"--{field.name.replace('_', '-')}"
            parser.add_argument(option, type=float, default=field.default)
    for word, kind in (("--cost", Costs), ("--ceiling", Ceilings)):
        names = ", ".join(field.name for field in fields(kind))
        parser.add_argument(
            word, action="append", default=[], metavar="NAME=VALUE", help=f"repeatable; {names}"
        )
    parser.add_argument("--markdown", action="store_true", help="as docs/scaling.md has it")
    given = parser.parse_args(argv)
    try:
        costs = replace(Costs(), **_changed(Costs, given.cost))
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
    table = Table(caption=f"costs measured {MEASURED} on two shared cores; docs/scaling.md")
    table.add_column("clients")
    for load in loads:
        table.add_column(f"{load.clients:,.0f}", justify="right")
    for row in lines(loads, costs, ceilings):
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    return 0


def _changed(kind: type[Costs] | type[Ceilings], words: Sequence[str]) -> dict[str, float]:
    known = {field.name for field in fields(kind)}
    changed: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in known:
            raise ValueError(f"there is no {name!r}; there are {', '.join(sorted(known))}")
        changed[name] = float(value)
    return changed


if __name__ == "__main__":
    sys.exit(main())
