"""What one seed stands for: how many of everybody, what is asked, how bad the weather is, and what goes wrong."""

import random
from dataclasses import dataclass
from typing import Any

from holdfast.events.commands import OnBusy
from holdfast.gateway.options import HubOptions
from tests.simulation.faults import FaultPlan, plan_faults
from tests.simulation.ports import Weather

# How long faults go on: most schedules are short, since most of what runs do is over in three seconds.
SAFETY_FIRST_S = 2.5
SAFETY_MORE_S = 9.0

WORKERS_MAX = 3
GATEWAYS_MAX = 2
SESSIONS_MAX = 3
CLIENTS_MAX = 4  # of a session
RUNS_MAX = 3  # of a session

# Wall clocks are up to two hours apart: nothing may rest on them.
SKEW_S = 3600.0


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run that is asked for."""

    workflow: str
    input: dict[str, Any]
    after_s: float  # since the one before
    on_busy: OnBusy
    cancel_after_s: float | None
    answer_after_s: float | None
    twice: bool  # two callers answer


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """A session and its readers."""

    name: str
    ttl_s: int | None
    runs: tuple[RunPlan, ...]
    clients: tuple[str, ...]  # what each wants: all, types, run or lost
    erased: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule."""

    seed: int
    workers: int
    gateways: int
    same_names: bool
    sessions: tuple[SessionPlan, ...]
    options: HubOptions
    buffer_bytes: int
    weather: Weather
    safety_s: float
    skew_s: float
    faults: tuple[FaultPlan, ...]


def plan_of(seed: int) -> Plan:
    """Return what a seed stands for."""
    chance = random.Random(f"plan {seed}")
    workers = chance.randint(1, WORKERS_MAX)
    gateways = chance.randint(1, GATEWAYS_MAX)
    names = [f"s{n}" for n in range(chance.choice((1, 1, 2, SESSIONS_MAX)))]
    sessions = tuple(_session(name, chance) for name in names)
    safety_s = SAFETY_FIRST_S + SAFETY_MORE_S * chance.random() ** 2
    return Plan(
        seed=seed,
        workers=workers,
        gateways=gateways,
        same_names=chance.random() < 0.5,
        sessions=sessions,
        options=_options(chance),
        buffer_bytes=chance.choice((300, 2_000, 64_000)),
        weather=_weather(chance),
        safety_s=safety_s,
        skew_s=SKEW_S,
        faults=tuple(plan_faults(chance, until_s=safety_s)),
    )


def _session(name: str, chance: random.Random) -> SessionPlan:
    runs = tuple(_run(chance) for _ in range(chance.choice((1, 1, 2, RUNS_MAX))))
    wants = [
        chance.choices(("all", "types", "run", "lost"), (6, 1, 2, 0.3))[0]
        for _ in range(chance.choice((1, 2, 2, CLIENTS_MAX)))
    ]
    return SessionPlan(
        name,
        ttl_s=3 if chance.random() < 0.05 else None,
        runs=runs,
        clients=tuple(wants),
        erased=chance.random() < 0.07,
    )


def _run(chance: random.Random) -> RunPlan:
    workflow = chance.choices(
        ("steps", "talk", "ask", "parallel", "fragile", "poison", "fails", "naps", "deaf"),
        (6, 4, 3, 4, 3, 0.6, 1, 0.5, 1),
    )[0]
    given: dict[str, Any] = {}
    match workflow:
        case "steps":
            given = {"steps": chance.randint(1, 5), "fails": chance.choice((None, None, 0, 1))}
        case "talk":
            given = {"pieces": chance.randint(2, 8)}
        case "ask":
            given = {"timeout_s": chance.choice((None, None, 2.0))}
        case "parallel":
            given = {"branches": chance.randint(2, 3)}
        case "fragile":
            given = {"dies": chance.randint(1, 2)}
        case "naps":
            given = {"nap_s": 5.5}
        case _:
            pass
    busy = chance.choices((OnBusy.ENQUEUE, OnBusy.INTERRUPT, OnBusy.REJECT), (6, 1, 1))[0]
    return RunPlan(
        workflow=workflow,
        input=given,
        after_s=chance.random() ** 2 * 4,
        on_busy=busy,
        cancel_after_s=chance.random() * 4 if chance.random() < 0.15 else None,
        answer_after_s=(chance.random() * 3 if chance.random() < 0.85 else 20.0)
        if workflow == "ask"
        else None,
        twice=chance.random() < 0.3,
    )


def _options(chance: random.Random) -> HubOptions:
    return HubOptions(
        heartbeat_s=5.0,
        send_deadline_s=2.0,
        linger_s=chance.choice((1.0, 10.0)),
        rest_s=chance.choice((3.0, 60.0)),
        drain_s=1.0,
        drain_grace_s=0.5,
        ring_events=chance.choice((2, 6, 512)),
        chunk_bytes=chance.choice((600, 2_000, 256 * 1024)),
        page_cache_s=chance.choice((0.1, 2.0)),
    )


def _weather(chance: random.Random) -> Weather:
    kind = chance.choice(("calm", "slow", "rough", "wild", "late"))
    if kind == "calm":
        return Weather()
    if kind == "slow":
        return Weather(slow=0.1, slow_s=chance.choice((0.1, 1.0)))
    if kind == "late":
        # What was given up is done all the same, perhaps when somebody else has taken over.
        return Weather(late=0.15, after=0.03, slow=0.05, slow_s=0.5)
    worse = 1.0 if kind == "rough" else 4.0
    return Weather(
        before=0.02 * worse,
        busy=0.02 * worse,
        after=0.03 * worse,
        late=0.015 * worse,
        slow=0.05,
        slow_s=chance.choice((0.1, 1.5)),
    )
