"""The gateway's loads: what is done to a contender, and what it costs. Every run checks every connection."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from bench.contenders.contender import Contender, Pace
from bench.rig.clocks import cpu_of, memory_kb
from bench.rig.readers import LoadFailed, Readers, Seen

# From asking for the runs to their first event: 1,000 runs are asked for at some 1,000/s, a fifth of that on a machine
# that does other things, and all begin together.
BEGIN_IN_S = 3.0
BEGIN_IN_S_EACH = 0.005

SETTLE_S = 120.0


class By(StrEnum):
    """What a load is for: the fields of `Cost` in which contenders are compared. Less is better in all of them."""

    GATEWAY = "gateway_us"
    WITH_REDIS = "with_redis_us"
    WALL = "wall_s"
    ACCEPT = "accept_s"
    MEMORY = "memory_kb"


@dataclass(frozen=True, slots=True)
class Load:
    """What is done to each contender in turn, and in what they are compared."""

    run: "Callable[[Contender], Cost]"
    by: tuple[By, ...] = (By.GATEWAY,)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a load took: of the servers per delivery, and of the readers' patience."""

    delivered: int
    gateway_us: float  # CPU of the gateway per delivery
    with_redis_us: float
    p50_ms: float
    p99_ms: float
    wall_s: float
    accept_s: float
    reader_cpu: (
        float  # share of its core that the load client used: above 0.9 it was the bottleneck
    )
    memory_kb: float = 0.0  # per connection, where connections are what is measured


def paced(
    *, sessions: int, clients: int, rate: float, seconds: float, program: Path
) -> Callable[[Contender], Cost]:
    """Live delivery: `clients` in all over `sessions`, `rate` events/s in all."""

    def run(contender: Contender) -> Cost:
        names = contender.sessions(sessions)
        events = max(2, int(rate * seconds / sessions))
        readers = Readers(
            program,
            contender.port,
            [contender.path(name) for name in names],
            connections=clients,
            until=events,
            timeout_s=seconds + 90,
        )
        try:
            accept_s = readers.ready()
            begin_together(contender, names, Pace(events, int(1e6 * sessions / rate)))
            with Measured(contender) as used:
                seen = readers.result()
            contender.settle(SETTLE_S)
            return used.cost(seen, accept_s)
        finally:
            readers.stop()

    return run


def backlog(
    *, sessions: int, clients: int, events: int, program: Path
) -> Callable[[Contender], Cost]:
    """A storm: everything is in the log already, then all clients come at once and read it from the start."""

    def run(contender: Contender) -> Cost:
        names = contender.sessions(sessions)
        contender.publish(names, Pace(events, 0))
        contender.settle(SETTLE_S)
        with Measured(contender) as used:
            readers = Readers(
                program,
                contender.port,
                [contender.path(name) for name in names],
                connections=clients,
                until=events,
                timeout_s=180,
            )
            try:
                seen = readers.result()
            finally:
                readers.stop()
        return used.cost(seen, seen.accept_s)

    return run


def idle(*, clients: int, program: Path) -> Callable[[Contender], Cost]:
    """Connections that wait: the time to accept them, and what each holds of memory."""

    def run(contender: Contender) -> Cost:
        names = contender.sessions(1)
        before = sum(memory_kb(pid) for pid in contender.pids)
        with Measured(contender) as used:
            readers = Readers(
                program,
                contender.port,
                [contender.path(names[0])],
                connections=clients,
                until=1,
                timeout_s=180,
            )
            try:
                accept_s = readers.ready()
                time.sleep(1.0)  # what a connect leaves to be collected is collected
                held = sum(memory_kb(pid) for pid in contender.pids) - before
                contender.publish(names, Pace(1, 0))
                seen = readers.result()
            finally:
                readers.stop()
        return used.cost(seen, accept_s, held / clients)

    return run


class Measured:
    """CPU of the servers and the wall, over a with block."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender

    def __enter__(self) -> "Measured":
        self._gateway = cpu_of(self._contender.pids)
        self._redis = cpu_of(self._contender.beside)
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway_s = cpu_of(self._contender.pids) - self._gateway
        self.redis_s = cpu_of(self._contender.beside) - self._redis
        self.wall_s = time.monotonic() - self._began

    def cost(self, seen: Seen, accept_s: float, held_kb: float = 0.0) -> Cost:
        """Divide by what was delivered."""
        return Cost(
            delivered=seen.delivered,
            gateway_us=self.gateway_s / seen.delivered * 1e6,
            with_redis_us=(self.gateway_s + self.redis_s) / seen.delivered * 1e6,
            p50_ms=seen.p50_ms,
            p99_ms=seen.p99_ms,
            wall_s=self.wall_s,
            accept_s=accept_s,
            reader_cpu=seen.cpu_s / seen.elapsed_s,
            memory_kb=held_kb,
        )


def begin_together(contender: Contender, names: Sequence[str], pace: Pace) -> None:
    """Ask for a run in each session and return at the moment when all of them begin."""
    begin = time.monotonic_ns() + int((BEGIN_IN_S + BEGIN_IN_S_EACH * len(names)) * 1e9)
    contender.publish(names, replace(pace, begin_ns=begin))
    if time.monotonic_ns() > begin:
        # What is late is written as one burst, which costs next to nothing and isn't this load.
        raise LoadFailed("the runs were not asked for before they had to begin")
    sleep_until(begin)


def sleep_until(moment_ns: int) -> None:
    """Sleep until CLOCK_MONOTONIC says so."""
    time.sleep(max(0.0, (moment_ns - time.monotonic_ns()) / 1e9))


def gateway_loads(program: Path, *, full: bool) -> Mapping[str, Load]:
    """The loads by name; `full` is longer."""
    seconds = 20.0 if full else 5.0

    def live(sessions: int, clients: int, rate: float) -> Callable[[Contender], Cost]:
        return paced(
            sessions=sessions, clients=clients, rate=rate, seconds=seconds, program=program
        )

    def storm(sessions: int) -> Callable[[Contender], Cost]:
        return backlog(sessions=sessions, clients=2000, events=500, program=program)

    return {
        # First: memory that an earlier load left behind would be taken for nothing held.
        "5,000 idle": Load(idle(clients=5000, program=program), (By.ACCEPT, By.MEMORY)),
        "1 x 1,000 at 20/s": Load(live(1, 1000, 20), (By.GATEWAY, By.WITH_REDIS)),
        "1 x 1,000 at 300/s": Load(live(1, 1000, 300), (By.GATEWAY, By.WITH_REDIS)),
        "1,000 x 1 at 5,000/s": Load(live(1000, 1000, 5000), (By.GATEWAY, By.WITH_REDIS)),
        "backlog of 1,000, 1 x 1,000": Load(
            backlog(sessions=1, clients=1000, events=1000, program=program)
        ),
        "storm of 2,000, each 500 behind, 1 session": Load(storm(1), (By.WALL, By.GATEWAY)),
        "storm of 2,000, each 500 behind, 100 sessions": Load(storm(100), (By.WALL, By.GATEWAY)),
        "storm of 2,000, each 500 behind, 2,000 sessions": Load(storm(2000), (By.WALL, By.GATEWAY)),
    }
