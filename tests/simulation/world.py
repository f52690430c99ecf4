"""A whole deployment in one thread, one seed long: faults, then peace, and then everything has to come to rest."""

# pyright: reportPrivateUsage=false

import random
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.events.ids import seeded_uuid7
from holdfast.events.state_memory import SessionRow
from holdfast.events.store import SessionStatus
from holdfast.events.store_memory import MemoryStore
from holdfast.events.stream_memory import MemoryStream
from holdfast.verify.history import Fault
from tests.simulation.callers import Callers
from tests.simulation.client import SimulatedClient
from tests.simulation.clocks import SimulatedClock
from tests.simulation.faults import FaultPlan, inflict
from tests.simulation.gateway import SimulatedGateway
from tests.simulation.loop import SimulatedLoop
from tests.simulation.nap import Nap
from tests.simulation.plan import Plan
from tests.simulation.ports import (
    STORE_ACQUIRE_S,
    STORE_ANSWER_S,
    STORE_ERROR,
    STREAM_ANSWER_S,
    STREAM_ERROR,
    Reach,
    Server,
    Weather,
)
from tests.simulation.records import Records
from tests.simulation.twins import Backend
from tests.simulation.worker import SimulatedWorker

# After the last fault: takeovers of three runs one after the other, their backing off, and a nap; and somebody looks
# every minute, give or take, what is back of sessions that were erased.
REST_S = 90.0

# How often it is looked whether everything has come to rest, and whether somebody has to be started again.
LOOK_S = 0.5

# How long a killed process is away, at most.
RESTART_S = 2.0


@dataclass(slots=True)
class Dead:
    """A process that is to be started again."""

    actor: SimulatedWorker | SimulatedGateway
    at: float


class World:
    """One schedule. Call `run` once, in its own loop."""

    def __init__(self, loop: SimulatedLoop, plan: Plan, records: Records) -> None:
        self.loop, self.plan, self.records = loop, plan, records
        self.chance = self.fork("network")
        ids = self.fork("ids")
        clock = SimulatedClock(loop)
        stream = MemoryStream(clock)
        self.backend = Backend(
            store=MemoryStore(clock, make_id=seeded_uuid7(clock, ids)),
            stream=stream,
            postgres=Server(
                loop,
                "postgres",
                STORE_ERROR,
                answer_s=(STORE_ACQUIRE_S, STORE_ANSWER_S),
                chance=self.chance,
            ),
            redis=Server(
                loop,
                "redis",
                STREAM_ERROR,
                answer_s=(STREAM_ANSWER_S, STREAM_ANSWER_S),
                chance=self.chance,
            ),
            clock=clock,
            records=records,
            chance=self.chance,
        )
        self.numbers: dict[str, int] = {}
        self.clients: list[SimulatedClient] = []
        self._dead: list[Dead] = []
        self._set_weather(plan.weather)
        self.workers = [
            SimulatedWorker(self, f"w{n}", same_name=plan.same_names)
            for n in range(1, plan.workers + 1)
        ]
        self.gateways = [
            SimulatedGateway(self, f"g{n}", plan.options) for n in range(1, plan.gateways + 1)
        ]
        self.callers = Callers(self)
        self.rested = False

    # --- what its parts use --------------------------------------------------------------------------

    def fork(self, name: str) -> random.Random:
        """Return randomness of somebody's own: what one does changes no other's luck."""
        return random.Random(f"{self.plan.seed} {name}")

    def trip_s(self) -> float:
        """Return how long something takes between a client and a gateway."""
        weather, luck = self.plan.weather, self.chance.random()
        if weather.slow and luck < weather.slow:
            return self.chance.random() * weather.slow_s
        return 0.001 + 0.01 * luck * luck

    def later(self, seconds: float, callback: Callable[[], object]) -> None:
        """Do something later."""
        self.loop.call_later(seconds, callback, context=self.loop.world.context)

    def trace(self, who: str, what: str) -> None:
        """Note something for whoever reads a trace."""
        if self.records.trace is not None:
            self.records.trace.append(f"{self.loop.time():9.4f} {who:12} {what}")

    # --- the schedule --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live through the schedule; `rested` tells whether it came to rest in the end."""
        timers = [self.loop.call_at(fault.at_s, self._inflict, fault) for fault in self.plan.faults]
        # Faults that find nobody at work show little and cost as much as others: when all is done it is over.
        while self.loop.time() < self.plan.safety_s and not self._at_rest():
            await Nap(self.loop, LOOK_S)
            self._restart()
        for timer in timers:
            timer.cancel()
        self._heal()
        deadline = self.loop.time() + REST_S
        while self.loop.time() < deadline and not self.rested:
            await Nap(self.loop, LOOK_S)
            self._restart()
            self.rested = self._at_rest()

    def _inflict(self, fault: FaultPlan) -> None:
        self.records.faults.append(Fault(self.loop.time(), str(fault)))
        self.records.count(f"fault: {fault.what}")
        self.trace("FAULT", str(fault))
        inflict(self, fault)

    def _restart(self) -> None:
        """Start again whoever is dead, after a moment."""
        now = self.loop.time()
        known = {id(dead.actor) for dead in self._dead}
        for actor in (*self.workers, *self.gateways):
            if not actor.process.alive and id(actor) not in known:
                self._dead.append(Dead(actor, now + self.chance.random() * RESTART_S))
        due = [dead for dead in self._dead if dead.at <= now]
        self._dead = [dead for dead in self._dead if dead.at > now]
        for dead in due:
            dead.actor.boot()
            self.trace(dead.actor.process.name, "started")

    def _heal(self) -> None:
        self.trace("HEAL", "")
        self._set_weather(Weather())
        for actor in (*self.workers, *self.gateways, *self.clients):
            actor.process.proceed()
        self.postgres_up()
        self.redis_up()
        self.backend.redis.come_back()
        self.redis_has_room()
        self.backend.stream.lose_wakes = False
        self.callers.calm()

    def _set_weather(self, weather: Weather) -> None:
        self.backend.postgres.weather = self.backend.redis.weather = weather

    # --- the servers ---------------------------------------------------------------------------------

    def postgres_up(self) -> None:
        """Let Postgres come back, restarted if it was down."""
        server = self.backend.postgres
        if server.reach is Reach.REFUSES:
            self.backend.store.restarted()
        server.come_back()

    def redis_down(self) -> None:
        """Kill Redis: whoever listens knows."""
        self.backend.redis.go_down()
        self.backend.stream.down = True

    def redis_up(self) -> None:
        """Let Redis come back, with all that it had."""
        if self.backend.stream.down:
            self.backend.stream.down = False
            self.backend.redis.come_back()

    def redis_has_room(self) -> None:
        """Give Redis memory."""
        self.backend.stream.room = None

    def redis_hears(self) -> None:
        """Let wake-ups come through again; that some were lost is told to nobody."""
        self.backend.stream.lose_wakes = False

    # --- rest ----------------------------------------------------------------------------------------

    def _at_rest(self) -> bool:
        """Whether every run has ended, every command is settled and every client has everything."""
        state = self.backend.store._state
        if self.callers.busy:
            return False
        for row in state.sessions.values():
            if any(row.open_runs()) or any(row.open_commands()) or self._haunted(row):
                return False
        return all(self._caught_up(client) for client in self.clients)

    def _haunted(self, row: SessionRow) -> bool:
        """Whether the window of an erased session has more than the word of its erasure."""
        window = self.backend.stream._windows.get(row.id)
        if row.status is not SessionStatus.ERASED or window is None:
            return False
        return any(entry.seq < row.head for entry in window.entries)

    def _caught_up(self, client: SimulatedClient) -> bool:
        if client.over:
            return True
        number = self.numbers.get(client.seen.session)
        return number is not None and (
            client.seen.want.run_id is None
            and client.reached >= self.backend.store._state.sessions[number].head
        )
