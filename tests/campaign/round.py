"""One round: load and clients come, a scenario hurts what is there, everything comes to rest, a judge looks at it."""

import asyncio
import dataclasses
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from holdfast.verify.history import Fault
from tests.campaign.crowd import Crowd
from tests.campaign.field import Field
from tests.campaign.forge import Child
from tests.campaign.load import PATIENCE_S, Load, Ticket
from tests.campaign.notes import Notes

# How often notebooks are read and the load is looked at.
LOOK_S = 0.05

# A worker is up in 0.2 s; on a machine that does ten other things it takes its time.
UP_S = 30.0

# Everything accepted ends within this after the last fault: a takeover is 3 s, and a run that was taken over five times
# in a row has backed off for some more.
REST_S = 30.0

# The end of a log: the reason is in its last lines.
LOG_BYTES_MAX = 4_000

# Every second run's session has a reader of its own, and every fourth run; some 60 connections in a round.
FOLLOW_CHANCE = 0.5
FOLLOW_RUN_CHANCE = 0.25


@dataclasses.dataclass(slots=True)
class Round:
    """What a scenario has to do with, and what it leaves behind for the judge."""

    field: Field
    seed: int
    chance: random.Random
    ledger: Path
    load: Load
    crowd: Crowd
    clients_max: int
    notes: Notes = dataclasses.field(default_factory=Notes)
    faults: list[Fault] = dataclasses.field(default_factory=list[Fault])
    done: Counter[str] = dataclasses.field(
        default_factory=Counter[str]
    )  # units of the scenario, by what they were
    broken: list[str] = dataclasses.field(
        default_factory=list[str]
    )  # what the scenario itself saw go wrong
    samples: dict[str, list[float]] = dataclasses.field(default_factory=dict[str, list[float]])
    unsettled: list[str] = dataclasses.field(
        default_factory=list[str]
    )  # what was owed when patience was over

    def fault(self, what: str, *, at: float | None = None) -> float:
        """Write down what was done, for the witness; return when."""
        at = self.field.timeline.now() if at is None else at
        self.faults.append(Fault(at, what))
        return at

    def sample(self, name: str, seconds: float) -> None:
        """Take a measurement."""
        self.samples.setdefault(name, []).append(seconds)

    def look(self, *, only: str | None = None) -> None:
        """Read what the processes, or one of them, wrote down since the last look."""
        for name in [only] if only is not None else list(self.field.forge.children):
            self.notes.take(name, self.field.forge.pages.news(name))

    async def up(self, child: Child) -> None:
        """Wait until a worker looks for work, or is gone."""
        deadline = asyncio.get_running_loop().time() + UP_S
        while child.alive and child.name not in self.notes.up:
            assert asyncio.get_running_loop().time() < deadline, f"{child.name} does not come up"
            await asyncio.sleep(LOOK_S)
            self.look(only=child.name)

    async def at_work(self, child: Child, *, within_s: float) -> None:
        """Wait until a worker owns a session, is gone, or the time is over."""
        deadline = asyncio.get_running_loop().time() + within_s
        while child.alive and asyncio.get_running_loop().time() < deadline:
            self.look(only=child.name)
            if self.notes.owns(child.name):
                break
            await asyncio.sleep(LOOK_S)

    async def fired(self, child: Child, shot: str, *, within_s: float) -> bool:
        """Wait until a shot has fired; return whether it did before the time was over or the process gone."""
        deadline = asyncio.get_running_loop().time() + within_s
        while asyncio.get_running_loop().time() < deadline:
            gone = not child.alive
            self.look(only=child.name)
            if any(process == child.name and what == shot for process, what, _ in self.notes.fired):
                return True
            if gone:
                return False
            with suppress(TimeoutError):
                await asyncio.wait_for(child.gone.wait(), LOOK_S)
        return False

    async def rest(self) -> None:
        """Wait until everything that was asked for has ended and everybody has seen it."""
        self.crowd.calm()
        await self.load.close()
        deadline = asyncio.get_running_loop().time() + REST_S
        while True:
            await self.load.look(self.field.ended)
            sessions = {ticket.session for ticket in self.load.tickets.values()}
            behind = self.crowd.behind(await self.field.heads(sorted(sessions)))
            commands = await self.field.rows("select count(*) from commands where state = 'open'")
            self.unsettled = [*sorted(self.load.open), *behind]
            if commands[0][0]:
                self.unsettled.append(f"{commands[0][0]} open commands")
            if not self.unsettled or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(LOOK_S)
        # A worker that is told of a release or a publish a moment later writes that down, too.
        await asyncio.sleep(2 * LOOK_S)
        self.look()


def on_run(round_: Round, ticket: Ticket) -> None:
    """Let somebody follow a new run or its session, while there is room."""
    reading = sum(not task.done() for _, task in round_.crowd.readers)
    if reading >= round_.clients_max:
        return
    if round_.chance.random() < FOLLOW_CHANCE:
        round_.crowd.follow(ticket.session)
    if round_.chance.random() < FOLLOW_RUN_CHANCE:
        round_.crowd.follow(ticket.session, run_id=ticket.run_id)


@asynccontextmanager
async def playing(
    field_: Field,
    seed: int,
    *,
    in_flight: int,
    churn: float = 0.3,
    clients_max: int = 60,
    mix: Mapping[str, int] | None = None,
) -> AsyncGenerator[Round]:
    """Load the stack for the length of a block; behind it everything has come to rest, or `unsettled` says what not."""
    chance = random.Random(seed)
    ledger = field_.forge.directory / f"ledger-{seed}"
    crowd = Crowd(
        field_.gateways, field_.timeline, random.Random(chance.getrandbits(64)), churn=churn
    )
    load = Load(
        field_.gateways,
        ledger,
        field_.timeline,
        random.Random(chance.getrandbits(64)),
        lambda ticket: on_run(round_, ticket),
    )
    if mix is not None:
        load.mix = mix
    round_ = Round(field_, seed, chance, ledger, load, crowd, clients_max)
    feeding = asyncio.create_task(load.keep(in_flight, field_.ended), name="load")
    try:
        hurting = asyncio.current_task()
        assert hurting is not None
        # A load that can't go on is the end of the round, not of the scenario's patience.
        feeding.add_done_callback(
            lambda task: None if task.cancelled() else hurting.cancel("the load broke off")
        )
        try:
            yield round_
        except asyncio.CancelledError:
            if feeding.done() and not feeding.cancelled() and (error := feeding.exception()):
                error.add_note(_circumstances(field_))
                raise error from None
            raise
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await round_.rest()
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        load.abandon()
        await crowd.leave()


def _circumstances(field_: Field) -> str:
    """Say what may explain that nobody answered: how long nothing ran here, and what the gateways said last."""
    stalled = field_.stalls.within(time.time() - PATIENCE_S, PATIENCE_S)
    said = [f"in the last {PATIENCE_S:g} s the machine stood still for {stalled:.2f} s"]
    for child in field_.gateway_children.values():
        log = field_.forge.log(child.name)
        last = log.read_bytes()[-LOG_BYTES_MAX:] if log.exists() else b""
        said.append(f"{child.name}, {'alive' if child.alive else 'gone'}:")
        said.append(last.decode(errors="replace"))
    return "\n".join(said)
