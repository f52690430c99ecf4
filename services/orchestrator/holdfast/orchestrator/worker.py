"""Finds work, owns its sessions while there is something to do in them, and gives them back.

A hint over Redis says that there is work; a jittered poll finds it without. Claiming is decided by Postgres alone.
"""

import asyncio
import random
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from holdfast.events.clock import Clock, jittered
from holdfast.events.errors import StoreUnavailable
from holdfast.events.store import Claim, Store
from holdfast.orchestrator.lease import LeaseKeeper
from holdfast.orchestrator.lookout import Lookout, WorkHints
from holdfast.orchestrator.owner import Owner, OwnerOptions
from holdfast.orchestrator.publishing import StreamPublisher
from holdfast.orchestrator.racing import first_of
from holdfast.orchestrator.recorder import Recorder
from holdfast.orchestrator.session_log import Fenced
from holdfast.orchestrator.workflow import Workflows

# One claim takes at most this many sessions, so that a storm of work spreads over the workers.
CLAIM_MAX = 16

# What is late when the drain's time is over is cancelled, and gets so long to give its connections back. Then the
# worker is done without it: nothing of it can be recorded any more.
ABANDON_S = 1.0

# How often the workflows are announced; three missed rounds and the worker is not counted as live.
ANNOUNCE_S = 10.0

# A publish takes 1 ms. While Redis is away nobody waits for it any longer before a session is given back.
PUBLISHED_WITHIN_S = 0.05

log = structlog.get_logger("holdfast.worker")


class Observer(Protocol):
    """What a worker counts."""

    def claimed(self, claim: Claim) -> None:
        """A session was claimed."""
        ...

    def released(self) -> None:
        """A session was given back, or lost."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker works."""

    name: str
    lease_s: float
    poll_s: float
    sessions_max: int
    owner: OwnerOptions
    tenant_max_runs: int | None = None


class Worker:
    """Owns sessions and runs their workflows until it is drained."""

    def __init__(
        self,
        store: Store,
        *,
        options: WorkerOptions,
        workflows: Workflows,
        recorder: Recorder,
        publishing: StreamPublisher,
        leases: LeaseKeeper,
        hints: WorkHints,
        observer: Observer,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._store, self._options, self._workflows = store, options, workflows
        self._recorder, self._publishing = recorder, publishing
        self._leases, self._hints, self._observer = leases, hints, observer
        self._clock, self._chance = clock, chance
        self._owners: dict[int, Owner] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lookout = Lookout(clock, poll_s=options.poll_s)
        self._full = False  # the last claim might have found more than there was room for
        self._draining = False
        self._ready = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether the worker has announced its workflows and looks for work."""
        return self._ready.is_set() and not self._draining

    @property
    def owned(self) -> int:
        """How many sessions are owned now."""
        return len(self._owners)

    def drain(self) -> None:
        """Claim nothing more and stop every run where another worker can go on."""
        self._draining = True
        self._lookout.now()
        for owner in self._owners.values():
            owner.drain()

    async def run(self, *, drain_s: float) -> None:
        """Work until drained. Returns when everything owned was given back, or `drain_s` after the drain began.

        What is not given back by then is taken over when its lease runs out; what heeds no cancellation is left
        behind, ABANDON_S later.
        """
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(self._lookout.listen(self._hints), name="worker.hints"),
                    group.create_task(self._announce(), name="worker.announce"),
                ]
                while not (self._draining or self._ready.is_set()):
                    # What we announce binds our own claims: our limits are in force before anything is begun.
                    self._lookout.begin()
                    await first_of(self._ready.wait(), self._lookout.asked())
                while not self._draining:
                    await self._round()
                if self._tasks:
                    await asyncio.wait(set(self._tasks), timeout=drain_s)
                for helper in helpers:
                    helper.cancel()
        finally:
            await self._abandon()
        await self._quietly(self._store.registry.withdraw(self._options.name))

    async def _abandon(self) -> None:
        """Cancel what is not given back yet, and wait for it no longer than ABANDON_S."""
        for owner in list(self._owners.values()):
            owner.fence()
        for task in self._tasks:
            log.warning("drain.late", task=task.get_name())
            task.cancel()
        if self._tasks:
            _, deaf = await asyncio.wait(set(self._tasks), timeout=ABANDON_S)
            for task in deaf:
                log.error("drain.abandoned", task=task.get_name())

    def lost(self, session: int, epoch: int) -> None:
        """Stop what is done for a session that has another owner."""
        owner = self._owners.get(session)
        if owner is not None and owner.claim.epoch == epoch:
            log.warning("lease.lost", session=owner.claim.session_id, epoch=epoch)
            owner.fence()

    async def _round(self) -> None:
        """Look for work once; then wait for a hint or the poll's turn."""
        self._lookout.begin()
        found = 0
        try:
            if self._leases.suspended:
                # A drain sets `look`: it must not wait for leases that may never come back.
                await first_of(self._leases.active(), self._lookout.asked())
            if self._draining or self._leases.suspended:
                return
            # What is claimed now comes with its commands; later ones have hints of their own.
            hinted = self._lookout.take(self._owners)
            found = await self._claim()
            await self._tell_owners(hinted)
        except StoreUnavailable as error:
            self._lookout.failed()
            log.warning("claim.failed", error=str(error))
        except Exception:
            # Ours to mend; the sessions that are owned have done nothing wrong.
            self._lookout.failed()
            log.exception("claim.broke")
        if found < CLAIM_MAX:
            pause = jittered(self._options.poll_s, 0.2, self._chance)
            await self._lookout.asked_before(self._clock.sleep(pause))

    async def _claim(self) -> int:
        room = min(CLAIM_MAX, self._options.sessions_max - len(self._owners))
        self._full = room < CLAIM_MAX
        if room <= 0:
            return 0
        claims = await self._store.claims.claim(
            self._options.name,
            workflows=list(self._workflows.loaded),
            lease_s=self._options.lease_s,
            limit=room,
        )
        for claim in claims:
            try:
                self._own(claim)
            except Exception:
                # Nothing renews its lease: somebody takes it over then, and the others are owned now.
                log.exception("claim.broke", session=claim.session_id)
        return len(claims)

    def _own(self, claim: Claim) -> None:
        if (earlier := self._owners.get(claim.session)) is not None:
            # Its lease ran out unnoticed and we are the ones who took it over.
            earlier.fence()
        self._observer.claimed(claim)
        log.info(
            "session.claimed",
            session=claim.session_id,
            epoch=claim.epoch,
            head=claim.head,
            taken_over=claim.taken_over,
        )
        owner = Owner(
            claim,
            claims=self._store.claims,
            recorder=self._recorder,
            workflows=self._workflows,
            options=self._options.owner,
            clock=self._clock,
            chance=self._chance,
        )
        self._owners[claim.session] = owner
        # In no task group, since that would wait for it without bound: `_serve` lets nothing out that could be missed.
        task = asyncio.create_task(self._serve(owner), name=f"session:{claim.session_id}")
        self._tasks.add(task)
        task.add_done_callback(self._over)
        # Last: a lease without an owner would be renewed for ever, and nobody could take the session over.
        self._leases.hold(claim.session, claim.epoch)

    async def _serve(self, owner: Owner) -> None:
        """Run one owned session to its release. Whatever happens in it stays in it."""
        claim, give_back, let_go = owner.claim, True, False
        try:
            # A former owner may have died between a commit and its publishing.
            self._publishing.catch_up(owner.log)
            while not (let_go or await owner.run()):
                let_go = await self._let_go(owner)
            if owner.erased:
                await self._publishing.forget(owner.log)
        except Fenced:
            give_back = False
        except StoreUnavailable as error:
            log.warning("session.failed", session=claim.session_id, error=str(error))
        except Exception:
            # Ours to mend, not the run's: keep the session until the lease runs out, so that
            # the same thing is not tried a thousand times a second.
            log.exception("session.failed", session=claim.session_id)
            give_back = False
        finally:
            # What a failed owner left pending must not stand in the way of the next one's entries in the recorder.
            owner.log.fence()
            self._leases.drop(claim.session, claim.epoch)
            if self._owners.get(claim.session) is owner:
                del self._owners[claim.session]
            self._observer.released()
        if give_back:
            if not let_go:
                published = {claim.session: owner.log.published}
                release = self._store.claims.release(
                    {claim.session: claim.epoch}, published=published
                )
                await self._quietly(release)
            log.info("session.released", session=claim.session_id, head=owner.log.head)
            if not let_go or claim.limited or self._full:
                # Something may be left in it, or waits for a slot, or for room.
                self._lookout.now()

    async def _let_go(self, owner: Owner) -> bool:
        """Release the session, if nothing is to be done in it; else it is still ours."""
        claim = owner.claim
        # Else its next owner would publish again what is on its way, and somebody would have to note that it arrived.
        await self._publishing.caught_up(owner.log, within_s=PUBLISHED_WITHIN_S)
        # Before: what is released, and renewed, would look as if it were lost.
        self._leases.drop(claim.session, claim.epoch)
        told = owner.log.published
        if await self._store.claims.let_go(claim.session, epoch=claim.epoch, published=told):
            if owner.log.published > told:
                self._publishing.note(owner.log)
            return True
        self._leases.hold(claim.session, claim.epoch)
        return False

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("session.broke", task=task.get_name(), exc_info=error)

    async def _tell_owners(self, sessions: Sequence[int]) -> None:
        """Hand open commands of owned sessions to their owners."""
        if not sessions:
            return
        by_session: dict[int, list[int]] = {}
        commands = await self._store.claims.pending(sessions)
        for i, command in enumerate(commands):
            by_session.setdefault(command.session, []).append(i)
        for session, indexes in by_session.items():
            if (owner := self._owners.get(session)) is not None:
                owner.tell([commands[i] for i in indexes])

    async def _announce(self) -> None:
        most = self._options.tenant_max_runs
        infos = [replace(info, tenant_max_runs=most) for info in self._workflows.infos()]
        while not self._draining:
            if await self._quietly(self._store.registry.announce(self._options.name, infos)):
                self._ready.set()
            await self._clock.sleep(jittered(ANNOUNCE_S if self.ready else 0.5, 0.1, self._chance))

    async def _quietly(self, call: Awaitable[None]) -> bool:
        """Await a call that may fail without harm: what it does is done again, or runs out by itself."""
        try:
            await call
        except StoreUnavailable as error:
            log.warning("store.away", error=str(error))
            return False
        return True
