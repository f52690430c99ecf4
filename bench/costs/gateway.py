"""What a gateway takes: an event, a write, a connect, a watched session; and a head check, of Postgres."""

import time
from collections.abc import Mapping
from pathlib import Path

from bench.capacity import Load
from bench.contenders.holdfast import Holdfast
from bench.loads import SETTLE_S, Cost, backlog, idle, paced
from bench.rig.clocks import cpu_of, family, memory_kb
from bench.rig.readers import LoadFailed, Readers

# One crowd, and as many readers with a session each: the first has next to nothing but writes.
CLIENTS = 1_000
CROWD_PER_S = 20

# Two a second of each session, as the model's default load has it.
ALONE_PER_S = 2_000

SECONDS = 8.0

# All come at once, each to a session of its own that has had two events: a phone that was away for a moment.
CONNECTS = 2_000

IDLE_CLIENTS = 5_000

WATCHED = 2_000
WATCHED_S = 20.0

# Between two head checks of a gateway, and two heartbeats to a reader.
CHECK_S, HEARTBEAT_S = Load().check_s, Load().heartbeat_s


def idle_costs(base: Holdfast, program: Path) -> Mapping[str, float]:
    """Return the model's costs of waiting, by name. `base` is fresh: memory once grown would count as nothing held."""
    return {
        "gateway_stream_bytes": idle(clients=IDLE_CLIENTS, program=program)(base).memory_kb * 1024
    }


def gateway_costs(base: Holdfast, program: Path, *, stream_bytes: float) -> Mapping[str, float]:
    """Return the model's other costs of a gateway by name. `base` is fresh, and nobody else reads from it."""
    held, gateway_pulse, postgres_pulse = _watched(base, program)
    crowd = _live(base, program, sessions=1, rate=CROWD_PER_S)
    alone = _live(base, program, sessions=CLIENTS, rate=ALONE_PER_S)
    # A crowd's event is taken in once and written a thousand times; one that is alone, once each.
    write = (CLIENTS * crowd - alone) / (CLIENTS - 1)
    beat = write * CHECK_S / HEARTBEAT_S
    return {
        "gateway_take_us": alone - write,
        "gateway_write_us": write,
        "gateway_connect_us": _connects(base, program),
        "gateway_pulse_us": gateway_pulse - beat,
        "gateway_session_bytes": held - stream_bytes,
        "postgres_pulse_us": postgres_pulse,
    }


def _live(base: Holdfast, program: Path, *, sessions: int, rate: float) -> float:
    load = paced(sessions=sessions, clients=CLIENTS, rate=rate, seconds=SECONDS, program=program)
    return load(base).gateway_us


def _connects(base: Holdfast, program: Path) -> float:
    found: Cost = backlog(sessions=CONNECTS, clients=CONNECTS, events=2, program=program)(base)
    return found.gateway_us * found.delivered / CONNECTS


def _watched(base: Holdfast, program: Path) -> tuple[float, float, float]:
    """Return what a session and its reader hold in a gateway, and what a head check takes there and in Postgres."""
    names = base.sessions(WATCHED)
    gateway, postgres = base.pids, base.stack.pid("postgres")

    def used() -> tuple[float, float]:
        before = cpu_of(gateway), cpu_of(family(postgres))
        time.sleep(WATCHED_S)
        return cpu_of(gateway) - before[0], cpu_of(family(postgres)) - before[1]

    nothing = used()
    before = sum(map(memory_kb, gateway)) * 1024
    readers = Readers(
        program,
        base.port,
        [base.path(name) for name in names],
        connections=WATCHED,
        until=1,  # which never comes
        timeout_s=2 * WATCHED_S + SETTLE_S,
    )
    try:
        readers.ready()
        time.sleep(CHECK_S)  # what connecting left to do is done
        held = sum(map(memory_kb, gateway)) * 1024 - before
        watching = used()
        if readers.process.poll() is not None:
            raise LoadFailed("the readers did not stay")
    finally:
        readers.stop()
    checks = WATCHED * WATCHED_S / CHECK_S
    gateway_us, postgres_us = (
        (with_them - without) / checks * 1e6
        for with_them, without in zip(watching, nothing, strict=True)
    )
    return held / WATCHED, gateway_us, postgres_us
