"""One owned session: runs what is due, has its commands settled, and gives the session back when nothing is left."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from holdfast.events.catalog import ErrorInfo, RunFailed
from holdfast.events.clock import Clock
from holdfast.events.commands import Command
from holdfast.events.errors import StoreUnavailable
from holdfast.events.recorded import Emission
from holdfast.events.store import Claim, Claims, Journal, Run, RunChange, RunStatus
from holdfast.orchestrator.advice import advised
from holdfast.orchestrator.coalesce import COALESCE_CHARS, COALESCE_MS
from holdfast.orchestrator.docket import Docket
from holdfast.orchestrator.family import descendants, endings
from holdfast.orchestrator.racing import first_of
from holdfast.orchestrator.recorder import Recorder
from holdfast.orchestrator.running import Attempt
from holdfast.orchestrator.scribe import Scribe
from holdfast.orchestrator.session_log import Fenced, SessionLog
from holdfast.orchestrator.verdicts import context_of
from holdfast.orchestrator.workflow import Workflows

log = structlog.get_logger("holdfast.owner")

# How long to wait before a command is tried again while the database is away.
STORE_RETRY_S = 0.5

# The backoff between takeovers doubles, but a run is tried at least this often until it is given up.
RETRY_BACKOFF_MAX_S = 60.0


@dataclass(frozen=True, slots=True)
class OwnerOptions:
    """How runs are treated, and by whom."""

    worker: str = "worker"
    attempts_max: int = 5
    retry_backoff_s: float = 1.0
    coalesce_ms: int = COALESCE_MS
    coalesce_chars: int = COALESCE_CHARS


class Owner:
    """The one writer of a session while its lease lasts."""

    def __init__(
        self,
        claim: Claim,
        *,
        claims: Claims,
        recorder: Recorder,
        workflows: Workflows,
        options: OwnerOptions,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self.claim = claim
        # Whoever finds that nothing can be recorded any more, the recorder most often: the attempt stops now, not when
        # its run has something to say the next time.
        self.log = SessionLog(claim, clock=clock, on_fenced=self._stop_attempt)
        self._docket = Docket(
            claim, self.log, claims=claims, recorder=recorder, workflows=workflows, clock=clock
        )
        self._claims, self._recorder, self._workflows = claims, recorder, workflows
        self._options, self._clock, self._chance = options, clock, chance
        self._attempt: Attempt | None = None
        self._draining = False
        self._given = claim.slot
        self._struck: set[str] = set()  # runs whose takeover was counted: once a claim
        self._presumed = False  # that nothing is left in the session

    @property
    def erased(self) -> bool:
        """Whether the session was erased while it was owned."""
        return self._docket.erased

    def tell(self, commands: Sequence[Command]) -> None:
        """Hand over commands that were asked since the claim; known ones are ignored."""
        self._docket.tell(commands)

    def drain(self) -> None:
        """Stop at the next point where another worker can go on."""
        self._draining = True
        if self._attempt is not None:
            self._attempt.drain(gently=True)
        self._docket.wake()

    def fence(self) -> None:
        """Stop everything: another worker owns the session."""
        self.log.fence()

    async def run(self) -> bool:
        """Do what there is to do; return when the session can be given back. Raises Fenced.

        True: nothing is left in it for this worker. False: most likely nothing is, and `Claims.let_go` will tell; if
        there is something, run again.
        """
        while True:
            try:
                if not await self._turn():
                    break
            except StoreUnavailable as error:
                if self._draining:
                    raise
                log.warning("session.later", session=self.claim.session_id, error=str(error))
                await first_of(self._docket.news(), self._clock.sleep(STORE_RETRY_S))
        await self._docket.recorded()
        await self._docket.forwarded()
        presumed, self._presumed = self._presumed, False
        return not presumed

    async def _turn(self) -> bool:
        """Settle what is asked and work on one run; return whether there may be more to do."""
        await self._docket.settle()
        if self.log.fenced:
            raise Fenced(f"session {self.claim.session_id} has another owner")
        if self._draining:
            self._presumed = False
            return False
        if self._presumed and not self.erased:
            return False
        self._presumed = False
        runs = await self._docket.look()
        run = self._next_run(runs)
        if run is not None and not await self._docket.admits(run):
            return True
        if run is not None and await self._has_slot(run):
            ended = await self._execute(run)
            # Of a conversation one run at a time is asked for: nobody looks for the next one only to find none.
            self._presumed = ended and len(runs) == 1
            return True
        # A command that came during the look has an owner, so only we can see it.
        self._docket.tell(await self._claims.pending([self.claim.session]))
        return not self._docket.empty

    def _next_run(self, runs: Sequence[Run]) -> Run | None:
        """Return the run to work on: one that began before, else the one in the queue whose turn is first."""
        roots = [r for r in runs if r.parent_run_id is None]
        begun = [r for r in roots if r.status is not RunStatus.QUEUED]
        # The order is the session's: a run is not passed over because this worker can't run the one before it.
        # Among equals the oldest, as the claim decides: else the session would go back and forth.
        run = min((r for r in begun or roots if r.due), key=lambda r: r.turn, default=None)
        return run if run is not None and run.workflow in self._workflows.loaded else None

    async def _has_slot(self, run: Run) -> bool:
        """Tell whether the run may go on now. If not, it is left to whoever claims the session when there is a slot."""
        # What came with the claim is good for one beginning: a run that waits gives its slot back.
        given, self._given = self._given, None
        if run.status is RunStatus.RUNNING or given == run.run_id:
            return True
        # Another run came first after the claim. Beside it the given slot would be held by nobody at work: it goes back
        # with the session.
        return given is None and not await self._claims.limited(self._options.worker, run.workflow)

    async def _execute(self, run: Run) -> bool:
        """Work on the run; return whether it has ended."""
        attempt = await self._prepare(run)
        if attempt is None or self._draining or self.log.fenced:
            return False
        self._attempt = attempt
        self._docket.begin(attempt)
        stumbled: StoreUnavailable | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(attempt), name=f"commands:{self.claim.session_id}")
                await attempt.execute()
                # The listener is let go, not cancelled: it may be in the middle of a command.
                attempt.over = True
                self._docket.wake()
        except BaseExceptionGroup as group_error:
            # One cause is enough; the other task was cancelled because of it.
            cause = group_error.exceptions[0]
            if not isinstance(cause, StoreUnavailable):
                raise cause from group_error
            stumbled = cause
        finally:
            self._attempt = None
            self._docket.end(attempt)
        if stumbled is not None and not self._draining:
            log.warning("run.stumbled", run=run.run_id, error=str(stumbled))
            await self._strike(run)
        return attempt.ended is not None

    async def _prepare(self, run: Run) -> Attempt | None:
        """Return an attempt at the run; None when it isn't to be tried now, or never again."""
        taken_over = self.claim.taken_over and run.status is RunStatus.RUNNING
        if taken_over and run.run_id not in self._struck:
            self._struck.add(run.run_id)
            if await self._strike(run, free=1):
                return None
        scribe = Scribe(
            run,
            # Of a run that hasn't begun, too, if somebody has told it something already.
            await self._claims.journal(run.run_id) if run.recorded else Journal({}, {}),
            self.log,
            self._recorder,
            attempt=run.attempts + 1,
            clock=self._clock,
            chance=self._chance,
            coalesce_ms=self._options.coalesce_ms,
            coalesce_chars=self._options.coalesce_chars,
            time=self._docket.time,
        )
        if taken_over:
            reason = "takeover"
        elif run.status is RunStatus.WAITING:
            reason = "input" if run.run_id in self._docket.answered else "timer"
        else:
            reason = "drain"
        scribe.family.reason = reason
        if run.status is not RunStatus.QUEUED:
            await self._adopt(scribe)
        return Attempt(
            run,
            self._workflows.loaded[run.workflow],
            scribe,
            reason=reason,
            chain=self._workflows.chain,
        )

    async def _adopt(self, scribe: Scribe) -> None:
        """Let the attempt know the runs that an earlier one started: they go on, and end, with it."""
        runs = await self._claims.open_runs(self.claim.session)
        for run in descendants(scribe.run.run_id, runs):
            parent = scribe.family.find(run.parent_run_id)
            assert parent is not None, "parents come before their children"
            journal = await self._claims.journal(run.run_id)
            parent.child(run, journal, attempt=run.attempts)

    async def _strike(self, run: Run, *, free: int = 0) -> bool:
        """Count an attempt that brought the run nowhere, and pause; return whether to look around before going on.

        The first `free` ones in a row cost no pause. A run that has used up its attempts is given up.
        """
        strikes = await self._claims.strike(
            run.run_id, session=self.claim.session, epoch=self.claim.epoch
        )
        if strikes > self._options.attempts_max:
            await self._give_up(run, strikes)
            return True
        if strikes <= free:
            return False
        pause = min(self._options.retry_backoff_s * 2 ** (strikes - free - 1), RETRY_BACKOFF_MAX_S)
        log.warning("run.backoff", run=run.run_id, strikes=strikes, backoff_s=pause)
        return await first_of(self._docket.news(), self._clock.sleep(pause)) == 0

    async def _listen(self, attempt: Attempt) -> None:
        """Have commands settled while a run executes."""
        while not attempt.over:
            try:
                await self._docket.settle()
            except StoreUnavailable as error:
                # The run goes on while the database is away; the command is taken up again.
                log.warning("command.later", session=self.claim.session_id, error=str(error))
                await self._clock.sleep(STORE_RETRY_S)
                continue
            await self._docket.news()

    async def _give_up(self, run: Run, strikes: int) -> None:
        error = ErrorInfo(
            code="poison",
            message=f"given up: {strikes - 1} workers in a row died or lost the run before it took another step",
        )
        advice = advised(error, run.workflow)
        event = RunFailed(error=advice, duration_ms=self._docket.age_ms(run))
        change = RunChange(run_id=run.run_id, status=RunStatus.FAILED, waiting={}, due_in_s=0)
        below = descendants(run.run_id, await self._docket.open_runs())
        emissions, effects = endings(
            [(one, context_of(one)) for one in below], None, now=self._clock.now()
        )
        emissions.append(Emission(event, context_of(run)))
        await self._docket.append(emissions, [*effects, change]).durable()

    def _stop_attempt(self) -> None:
        if self._attempt is not None:
            self._attempt.drain()
        self._docket.wake()
