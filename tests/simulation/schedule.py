"""One seed, from plan to verdict."""

# pyright: reportPrivateUsage=false

import random
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tests.simulation.check import history_of, judge
from tests.simulation.counters import count_events
from tests.simulation.facts import facts
from tests.simulation.loop import SimulatedLoop, Stuck
from tests.simulation.plan import plan_of
from tests.simulation.records import Records, brief
from tests.simulation.setting import setting
from tests.simulation.world import World

Around = Callable[[], AbstractContextManager[Any]]
"""What is applied around a schedule: a mutant."""


@dataclass(slots=True)
class Verdict:
    """What became of a schedule."""

    seed: int
    violations: list[str]
    counters: Counter[str]
    seconds: float  # of virtual time
    steps: int
    events: int
    digest: str
    trace: list[str]
    schedule: list[str]


def run_schedule(
    seed: int, *, trace: bool = False, around: Around = nullcontext, digest: bool = True
) -> Verdict:
    """Run one seed and judge it; without `digest` what stands for all of it is not reckoned up."""
    records = Records(chance=random.Random(f"outside {seed}"), trace=[] if trace else None)
    loop = SimulatedLoop(random.Random(f"scheduler {seed}"), records)

    def broke(_: Any, context: dict[str, Any]) -> None:
        records.wrong(f"{context.get('message')}: {context.get('exception')!r}")

    loop.set_exception_handler(broke)

    def tell(process: str, event: str, fields: dict[str, Any]) -> None:
        records.counters[event] += 1
        if records.trace is not None:
            said = f"{loop.time():9.4f} {process:12} * {event} {brief(fields)}"
            records.trace.append(said)

    def wrong(process: str, event: str, fields: dict[str, Any]) -> None:
        records.wrong(f"{process} said {event} {brief(fields)}")

    plan = plan_of(seed)
    worlds: list[World] = []

    async def live() -> None:
        worlds.append(World(loop, plan, records))
        await worlds[0].run()

    violations: list[str] = []
    events, hashed = 0, ""
    with around(), facts(tell, wrong), setting(loop):
        try:
            try:
                loop.run_until_complete(loop.world.start(live()))
            except Stuck as error:
                violations.append(f"S: {error}")
            world = worlds[0]
            for error in loop.unseen_errors():
                records.wrong(error)
            history = history_of(world)
            violations += judge(world, history)
            for row in world.backend.store._state.sessions.values():
                count_events(row.events, records.counters)
            events = sum(len(log.events) for log in history.logs)
            if digest:
                hashed = _digest(world, loop)
        finally:
            counters = Counter(records.counters)
            records.trace, kept = None, records.trace or []
            loop.dispose()
    return Verdict(
        seed=seed,
        violations=violations,
        counters=counters,
        seconds=loop.time(),
        steps=loop.steps,
        events=events,
        digest=hashed + _hash(kept) if trace else hashed,
        trace=kept,
        schedule=[f"{fault.at:.3f} {fault.what}" for fault in records.faults],
    )


def _digest(world: World, loop: SimulatedLoop) -> str:
    """Return what stands for all that happened: every byte of the logs and every frame of the clients."""
    hashed = blake2b(digest_size=16)
    for row in world.backend.store._state.sessions.values():
        for event in row.events:
            hashed.update(event.body)
    for client in world.clients:
        for connection in client.seen.connections:
            for seen in connection.seen:
                hashed.update(f"{seen.kind} {seen.seq} {seen.at}".encode())
    hashed.update(repr((loop.steps, loop.time(), sorted(world.records.counters.items()))).encode())
    return hashed.hexdigest()


def _hash(lines: list[str]) -> str:
    return blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()
