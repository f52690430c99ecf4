"""`python -m bench.curve`: from one process to two. Gateways at one port, gateways at two, workers.

What a delivery and an event cost should not depend on how many processes there are; what is done in a second should
grow with them as far as there are cores, and the load client, Redis and Postgres share the same ones. Every connection
is checked.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.contenders.contender import Pace
from bench.contenders.holdfast import Holdfast
from bench.loads import begin_together
from bench.rig.clocks import cpu_of, family
from bench.rig.readers import Readers, build
from bench.rig.services import Service

ROUNDS = 3
SETTLE_S = 120.0

# Live: 100 sessions with 10 readers each, 1,000 events/s: 10,000 deliveries/s.
LIVE = Pace(events=50, every_us=100_000)
LIVE_SESSIONS, LIVE_CLIENTS = 100, 1000

# A storm: 2,000 readers come at once, each 500 events behind.
STORM = Pace(events=500, every_us=0)
STORM_SESSIONS, STORM_CLIENTS = 100, 2000

# Workers: 200 runs that write as fast as they are let.
WRITTEN = Pace(events=250, every_us=0)
WRITERS = 200


@dataclass(frozen=True, slots=True)
class Point:
    """One run of one load."""

    per_s: float  # deliveries or events, by the wall
    service_us: float  # CPU of the service for each
    with_redis_us: float
    with_servers_us: float  # Redis and Postgres on top
    p99_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a load works with."""

    base: Holdfast
    servers: Mapping[str, Sequence[int]]
    program: Path


class _Clocks:
    def __init__(self, asked: Asked, services: Sequence[Service]) -> None:
        self._asked, self._services = asked, services
        self._before, self._began = self._now(), time.monotonic()

    def point(self, count: int, seconds: float | None = None, p99_ms: float = 0.0) -> Point:
        """Divide what was used since by `count`."""
        took = seconds or time.monotonic() - self._began
        service, redis, postgres = (
            (now - before) / count * 1e6
            for now, before in zip(self._now(), self._before, strict=True)
        )
        return Point(count / took, service, service + redis, service + redis + postgres, p99_ms)

    def _now(self) -> tuple[float, float, float]:
        ours = [pid for service in self._services for pid in service.pids]
        # A connection's process of Postgres may begin meanwhile: looked for each time.
        postgres = [pid for parent in self._asked.servers["postgres"] for pid in family(parent)]
        return cpu_of(ours), cpu_of(self._asked.servers["redis"]), cpu_of(postgres)


def live(asked: Asked, gateways: Sequence[Service]) -> Point:
    """Events as they come."""
    names = asked.base.sessions(LIVE_SESSIONS)
    crowds = _crowds(asked, gateways, names, LIVE_CLIENTS, LIVE.events)
    try:
        for crowd in crowds:
            crowd.ready()
        begin_together(asked.base, names, LIVE)
        clocks = _Clocks(asked, gateways)
        seen = [crowd.result() for crowd in crowds]
        point = clocks.point(sum(s.delivered for s in seen), p99_ms=max(s.p99_ms for s in seen))
        asked.base.settle(SETTLE_S)
        return point
    finally:
        for crowd in crowds:
            crowd.stop()


def storm(asked: Asked, gateways: Sequence[Service]) -> Point:
    """Everything at once, from the log."""
    names = asked.base.sessions(STORM_SESSIONS)
    asked.base.publish(names, STORM)
    asked.base.settle(SETTLE_S)
    clocks = _Clocks(asked, gateways)
    crowds = _crowds(asked, gateways, names, STORM_CLIENTS, STORM.events)
    try:
        seen = [crowd.result() for crowd in crowds]
        return clocks.point(sum(s.delivered for s in seen))
    finally:
        for crowd in crowds:
            crowd.stop()


def writing(asked: Asked, workers: Sequence[Service]) -> Point:
    """Runs that write as fast as they are let, from one moment to the end of the last one."""
    names = asked.base.sessions(WRITERS)
    begin_together(asked.base, names, WRITTEN)
    clocks = _Clocks(asked, workers)
    asked.base.settle(SETTLE_S)
    return clocks.point(WRITERS * WRITTEN.events)


def _crowds(
    asked: Asked, gateways: Sequence[Service], names: Sequence[str], clients: int, until: int
) -> list[Readers]:
    """Spread the readers evenly over the ports."""
    paths = [asked.base.path(name) for name in names]
    return [
        Readers(
            asked.program,
            gateway.port,
            paths,
            connections=clients // len(gateways),
            until=until,
            timeout_s=180,
        )
        for gateway in gateways
    ]


# Under each heading: what is started, as (services, processes of each).
LOADS: Mapping[str, tuple[str, Callable[[Asked, Sequence[Service]], Point]]] = {
    "live, 100 x 10 at 1,000/s": ("gateway", live),
    "storm of 2,000, each 500 behind, 100 sessions": ("gateway", storm),
    "200 runs that write 250 events each": ("orchestrator", writing),
}
SHAPES: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "gateway": {"one process": (1, 1), "--processes 2": (1, 2), "two gateways": (2, 1)},
    "orchestrator": {"one process": (1, 1), "--processes 2": (1, 2)},
}


def main() -> int:
    """Measure all shapes under all loads, in turns."""
    parser = argparse.ArgumentParser(prog="python -m bench.curve", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--load", default="", help="only loads with this in their name")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="holdfast-curve-"))
    work.chmod(0o755)  # Postgres may run as somebody else
    found: dict[str, dict[str, list[Point]]] = {}
    with ExitStack() as stack:
        # Its own gateway is asked for runs and serves no reader; the workers are ours.
        base = Holdfast(work / "holdfast", arguments=("--orchestrators", "0"), pinned=False)
        stack.callback(base.stop)
        listed = base.stack.processes()
        servers = {name: [listed[name]["pid"]] for name in ("redis", "postgres")}
        asked = Asked(base, servers, build(work))
        environment = base.environment
        loads = {name: load for name, load in LOADS.items() if given.load in name}
        for name, (service, load) in loads.items():
            row = found[name] = {shape: [] for shape in SHAPES[service]}
            for _ in range(given.rounds):
                for shape, (count, processes) in SHAPES[service].items():
                    print(f"\r{name}: {shape}          ", end="", file=sys.stderr)
                    row[shape].append(
                        _measure(work, asked, environment, service, load, count, processes)
                    )
    print("\r" + " " * 70, end="\r", file=sys.stderr)
    _print(found)
    return 0


def _measure(
    work: Path,
    asked: Asked,
    environment: Mapping[str, str],
    service: str,
    load: Callable[[Asked, Sequence[Service]], Point],
    count: int,
    processes: int,
) -> Point:
    with ExitStack() as stack:

        def start(name: str, processes: int) -> Service:
            started = Service(name, work / f"{name}.log", environment, processes=processes)
            stack.callback(started.stop)
            return started

        if service == "gateway":
            start("orchestrator", 1)
        return load(asked, [start(service, processes) for _ in range(count)])


def _print(found: Mapping[str, Mapping[str, Sequence[Point]]]) -> None:
    table = Table(caption="CPU µs for each delivery or event; min – median – max over the rounds")
    for heading in ("load", "shape"):
        table.add_column(heading)
    for heading in ("per s", "service", "+ Redis", "+ Redis + Postgres", "p99 ms"):
        table.add_column(heading, justify="right")
    for name, row in found.items():
        for shape, points in row.items():
            values = {field: [asdict(p)[field] for p in points] for field in asdict(points[0])}
            rate = sorted(values["per_s"])
            table.add_row(
                name,
                shape,
                f"{rate[0]:,.0f} – {statistics.median(rate):,.0f} – {rate[-1]:,.0f}",
                *(
                    f"{min(v):.2f} – {statistics.median(v):.2f} – {max(v):.2f}"
                    for v in (
                        values["service_us"],
                        values["with_redis_us"],
                        values["with_servers_us"],
                    )
                ),
                f"{statistics.median(values['p99_ms']):.2f}",
            )
        table.add_section()
    Console(width=None if sys.stdout.isatty() else 170).print(table)


if __name__ == "__main__":
    sys.exit(main())
