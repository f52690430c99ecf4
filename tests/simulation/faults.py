"""The schedule of faults: what is done to whom, when, and for how long. Made from the seed, carried out in order."""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.worker import LEASE_S

if TYPE_CHECKING:
    from tests.simulation.world import World

FAULTS_MAX = 9

# What can be done and how often it is, among all that is.
KINDS: dict[str, float] = {
    "kill worker": 4,
    "kill gateway": 2,
    "pause worker": 3,
    "block loop": 1.5,
    "pause gateway": 1,
    "drain worker": 1.5,
    "drain gateway": 1.5,
    "redis flush": 2,
    "redis lose one": 1,
    "redis failover": 2.5,
    "redis trim": 1,
    "redis forgets": 1.5,
    "redis away": 1.5,
    "redis hangs": 1,
    "redis full": 1,
    "redis deaf": 1.5,
    "postgres away": 2,
    "postgres hangs": 1,
    "cut clients": 4,
    "pause client": 1.5,
    "wall clock jumps": 1,
    "everybody dies": 0.3,
}


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """One fault."""

    at_s: float
    what: str
    who: int  # which of those that it can be done to
    for_s: float
    much: int

    def __str__(self) -> str:
        return f"{self.what} {self.who}, {self.for_s:.2f} s, {self.much}"


def plan_faults(chance: random.Random, *, until_s: float) -> list[FaultPlan]:
    """Return a schedule of faults until `until_s`; `who` is taken modulo what is there."""
    count = chance.randint(0, FAULTS_MAX)
    ways = chance.choices(list(KINDS), list(KINDS.values()), k=count)
    plans = [
        FaultPlan(
            at_s=chance.random() * until_s,
            what=what,
            who=chance.randrange(12),
            for_s=_for_s(what, chance),
            much=chance.randint(1, 4),
        )
        for what in ways
    ]
    return sorted(plans, key=lambda plan: plan.at_s)


def _for_s(what: str, chance: random.Random) -> float:
    if what in {"pause worker", "block loop"}:
        return chance.uniform(0.5, 3.0) * LEASE_S
    if what.startswith(("kill", "drain")) or what == "everybody dies":
        return chance.uniform(0.1, 2.0)  # until it is started again
    return chance.uniform(0.2, 4.0)


def inflict(world: "World", plan: FaultPlan) -> None:
    """Do it, and arrange for its end."""
    {
        "worker": _worker,
        "loop": _worker,
        "gateway": _gateway,
        "redis": _redis,
        "postgres": _postgres,
        "client": _clients,
        "clients": _clients,
    }.get(_whom(plan.what), _others)(world, plan)


def _whom(what: str) -> str:
    first, _, rest = what.partition(" ")
    return first if first in {"redis", "postgres"} else rest


def _worker(world: "World", plan: FaultPlan) -> None:
    worker = world.workers[plan.who % len(world.workers)]
    process = worker.process
    match plan.what:
        case "kill worker":
            worker.kill()
        case "drain worker":
            worker.drain()
        case "pause worker":
            process.pause()
            world.later(plan.for_s, process.proceed)
        case _:
            worker.block_loop()
            world.later(plan.for_s, process.proceed)


def _gateway(world: "World", plan: FaultPlan) -> None:
    gateway = world.gateways[plan.who % len(world.gateways)]
    process = gateway.process
    match plan.what:
        case "kill gateway":
            gateway.kill()
        case "drain gateway":
            gateway.drain()
        case _:
            process.pause()
            world.later(plan.for_s, process.proceed)


def _redis(world: "World", plan: FaultPlan) -> None:
    stream, server = world.backend.stream, world.backend.redis
    sessions = list(world.numbers.values()) or [1]
    session = sessions[plan.who % len(sessions)]
    match plan.what:
        case "redis flush":
            stream.flush()
        case "redis lose one":
            stream.lose(session)
        case "redis failover":
            for one in sessions:
                stream.lose_tail(one, plan.much)
            server.break_connections()
            stream.break_connections()
        case "redis trim":
            stream.trim(session, plan.much)
        case "redis forgets":
            # Nobody hears of anything for a while, and then only the newest is left.
            stream.lose_wakes = True
            world.later(plan.for_s, lambda: stream.trim(session, 1))
            world.later(plan.for_s, world.redis_hears)
        case "redis away":
            world.redis_down()
            world.later(plan.for_s, world.redis_up)
        case "redis hangs":
            server.hang()
            world.later(plan.for_s, server.come_back)
        case "redis full":
            stream.room = plan.much
            world.later(plan.for_s, world.redis_has_room)
        case _:
            # Connections that are dead and don't know it: the head check alone finds what they miss.
            stream.lose_wakes = True
            world.later(plan.for_s, world.redis_hears)


def _postgres(world: "World", plan: FaultPlan) -> None:
    server = world.backend.postgres
    if plan.what == "postgres away":
        server.go_down()
        world.later(plan.for_s, world.postgres_up)
    else:
        server.hang()
        world.later(plan.for_s, server.come_back)


def _clients(world: "World", plan: FaultPlan) -> None:
    if not world.clients:
        return
    if plan.what == "cut clients":
        for client in world.clients[:: 1 + plan.who % 3]:
            client.cut()
        return
    process = world.clients[plan.who % len(world.clients)].process
    process.pause()
    world.later(plan.for_s * 3, process.proceed)


def _others(world: "World", plan: FaultPlan) -> None:
    if plan.what == "wall clock jumps":
        everybody = [*world.workers, *world.gateways]
        everybody[plan.who % len(everybody)].clock.jump((plan.much - 2) * 1800.0)
        return
    for worker in world.workers:
        worker.kill()
    for gateway in world.gateways:
        gateway.kill()
