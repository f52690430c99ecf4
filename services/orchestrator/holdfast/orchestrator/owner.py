"""One owned session: takes its commands in order, runs what is due, and gives the session back when nothing is left.

Only the owner appends, so what is decided here needs no lock: a command that arrives after its run's terminal event
finds the run ended and is rejected; one that arrives before decides the end.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from holdfast.events.catalog import (
    CommandAccepted,
    CommandRejected,
    ErrorInfo,
    Event,
    InputReceived,
    RunCancelled,
    RunFailed,
    SessionCreated,
    SessionErased,
    SessionExpired,
)
from holdfast.events.clock import Clock
from holdfast.events.commands import Command, CommandKind, CommandState
from holdfast.events.errors import EventInvalid, StoreUnavailable
from holdfast.events.recorded import Context, Emission
from holdfast.events.store import (
    Claim,
    Claims,
    CommandDone,
    Effect,
    Journal,
    Run,
    RunChange,
    RunStatus,
    SessionChange,
    SessionStatus,
)
from holdfast.orchestrator.coalesce import COALESCE_CHARS, COALESCE_MS
from holdfast.orchestrator.inputs import answer_effects, answer_key, expired_key
from holdfast.orchestrator.recorder import Recorder
from holdfast.orchestrator.running import Attempt, Cancellation
from holdfast.orchestrator.scribe import Scribe
from holdfast.orchestrator.session_log import Entry, Fenced, SessionLog
from holdfast.orchestrator.workflow import Forgets, Workflows

log = structlog.get_logger("holdfast.owner")

# How long to wait before a command is tried again while the database is away.
STORE_RETRY_S = 0.5

NO_JOURNAL = Journal({}, {})


@dataclass(frozen=True, slots=True)
class OwnerOptions:
    """How runs are treated."""

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
        self.log = SessionLog(claim, clock=clock)
        self._claims, self._recorder, self._workflows = claims, recorder, workflows
        self._options, self._clock, self._chance = options, clock, chance
        self._handled: set[str] = set()
        self._status = SessionStatus.ACTIVE
        self._attempt: Attempt | None = None
        self._draining = False
        self._news = asyncio.Event()
        self._commands: list[Command] = list(claim.commands)
        self._deferred: list[Command] = []  # to be taken up when the current run has ended
        self._answered: set[str] = set()  # runs that an answer made due

    @property
    def running(self) -> str | None:
        """The id of the run that is being executed now."""
        return self._attempt.run.run_id if self._attempt else None

    @property
    def erased(self) -> bool:
        """Whether the session was erased while it was owned."""
        return self._status is SessionStatus.ERASED

    def tell(self, commands: Sequence[Command]) -> None:
        """Hand over commands that were asked since the claim; known ones are ignored."""
        fresh = [c for c in commands if c.command_id not in self._handled]
        if fresh:
            self._commands.extend(fresh)
            self._news.set()

    def drain(self) -> None:
        """Stop at the next point where another worker can go on."""
        self._draining = True
        if self._attempt is not None:
            self._attempt.drain()
        self._news.set()

    def fence(self) -> None:
        """Stop everything: another worker owns the session."""
        self.log.fence()
        if self._attempt is not None:
            self._attempt.drain()
        self._news.set()

    async def run(self) -> None:
        """Do what there is to do; returns when the session can be given back. Raises Fenced."""
        while True:
            await self._take_commands()
            if self.log.fenced:
                raise Fenced(f"session {self.claim.session_id} has another owner")
            if self._draining:
                break
            run = self._next_run(await self._claims.open_runs(self.claim.session))
            if run is None:
                # Look once more: a command that came during the last look has an owner, so only we can see it.
                self.tell(await self._claims.pending([self.claim.session]))
                if not self._commands:
                    break
                continue
            await self._execute(run)
        if self.log.pending:
            await self.log.pending[-1].durable()

    # --- runs ----------------------------------------------------------------------------------

    def _next_run(self, runs: Sequence[Run]) -> Run | None:
        """Return the run to work on: one that began before, else the oldest that is due in the queue."""
        roots = [r for r in runs if r.parent_run_id is None]
        begun = [r for r in roots if r.status is not RunStatus.QUEUED]
        candidates = begun or roots
        for run in candidates:
            if run.due and run.workflow in self._workflows.loaded:
                return run
        return None

    async def _execute(self, run: Run) -> None:
        attempt = await self._prepare(run)
        if attempt is None:
            return
        self._attempt = attempt
        try:
            if self._draining:
                return
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(attempt), name=f"commands:{self.claim.session_id}")
                await attempt.execute()
                # The listener is let go, not cancelled: it may be in the middle of a command.
                attempt.over = True
                self._news.set()
        except BaseExceptionGroup as group_error:
            # One cause is enough for the caller; the other task was cancelled because of it.
            raise group_error.exceptions[0] from group_error
        finally:
            self._attempt = None
            self._commands[:0] = self._deferred
            self._deferred.clear()
        if (late := attempt.unheeded) is None:
            return
        if attempt.ended is not None:
            self._reject(late, "already-ended")
        else:
            # The attempt stopped for another reason, a drain or a wait, while it was told: the run is still there.
            self._handled.discard(late.command_id)
            self._commands.insert(0, late)

    async def _prepare(self, run: Run) -> Attempt | None:
        first = run.status is RunStatus.QUEUED
        taken_over = self.claim.taken_over and run.status is RunStatus.RUNNING
        if taken_over:
            # A takeover counts once per claim; the same owner may resume the run again after a wait.
            strikes = await self._claims.strike(run.run_id)
            if strikes > self._options.attempts_max:
                await self._give_up(run, strikes)
                return None
            if strikes > 1:
                backoff = self._options.retry_backoff_s * 2 ** (strikes - 2)
                log.warning("run.backoff", run=run.run_id, strikes=strikes, backoff_s=backoff)
                await self._clock.sleep(backoff)
        scribe = Scribe(
            run,
            NO_JOURNAL if first else await self._claims.journal(run.run_id),
            self.log,
            self._recorder,
            attempt=run.attempts + 1,
            clock=self._clock,
            chance=self._chance,
            coalesce_ms=self._options.coalesce_ms,
            coalesce_chars=self._options.coalesce_chars,
        )
        if taken_over:
            reason = "takeover"
        elif run.status is RunStatus.WAITING:
            reason = "input" if run.run_id in self._answered else "timer"
        else:
            reason = "drain"
        return Attempt(run, self._workflows.loaded[run.workflow], scribe, reason=reason)

    async def _listen(self, attempt: Attempt) -> None:
        """Take commands while a run executes."""
        while not attempt.over:
            try:
                await self._take_commands()
            except StoreUnavailable as error:
                # The run goes on while the database is away; the command is taken up again.
                log.warning("command.later", session=self.claim.session_id, error=str(error))
                await self._clock.sleep(STORE_RETRY_S)
                continue
            await self._news.wait()
            self._news.clear()

    async def _give_up(self, run: Run, strikes: int) -> None:
        error = ErrorInfo(
            code="poison",
            message=f"given up: {strikes - 1} workers in a row died or lost the run before it took a step",
        )
        event = RunFailed(error=error, duration_ms=self._age_ms(run))
        change = RunChange(run_id=run.run_id, status=RunStatus.FAILED, waiting={}, due_in_s=0)
        await self._append([Emission(event, _context(run))], [change]).durable()

    # --- commands ------------------------------------------------------------------------------

    async def _take_commands(self) -> None:
        while self._commands:
            command = self._commands.pop(0)
            if command.command_id in self._handled:
                continue
            self._handled.add(command.command_id)
            try:
                await self._take(command)
            except StoreUnavailable:
                self._handled.discard(command.command_id)
                self._commands.insert(0, command)
                raise
            except EventInvalid as error:
                log.error(
                    "command.invalid",
                    session=self.claim.session_id,
                    kind=command.kind,
                    error=str(error),
                )
                self._reject(command, "invalid")

    async def _take(self, command: Command) -> None:
        log.debug(
            "command.taken", session=self.claim.session_id, kind=command.kind, run=command.run_id
        )
        match command.kind:
            case CommandKind.CREATE:
                event = SessionCreated.model_validate(command.body)
                self._append(
                    [Emission(event)], [CommandDone(command.command_id, CommandState.ACCEPTED)]
                )
            case CommandKind.START:
                emission = Emission(_accepted(command), Context(run_id=command.run_id))
                self._append([emission], [CommandDone(command.command_id, CommandState.ACCEPTED)])
            case CommandKind.CANCEL:
                await self._cancel(command)
            case CommandKind.INPUT:
                await self._answer(command)
            case CommandKind.EXPIRE:
                await self._expire(command)
            case CommandKind.ERASE:
                await self._erase(command)

    async def _cancel(self, command: Command) -> None:
        reason = command.body.get("reason")
        effects = [CommandDone(command.command_id, CommandState.ACCEPTED)]
        attempt = self._attempt
        if attempt is not None and attempt.run.run_id == command.run_id:
            accepted = Emission(_accepted(command), attempt.scribe.context)
            if not attempt.cancel(Cancellation(reason, [accepted], effects, command)):
                self._reject(command, "already-ended")
            return
        run = await self._open_run(command.run_id)
        if run is None:
            self._reject(command, "already-ended")
        else:
            self._append(*_cancelled(run, command, reason, self._age_ms(run)))

    async def _answer(self, command: Command) -> None:
        run = await self._open_run(command.run_id)
        input_id, value = command.body["input_id"], command.body.get("value")
        # The row may be a moment behind an attempt that executes; from here to the append nothing is awaited.
        attempt = self._attempt
        if run is None or (attempt is not None and attempt.run.run_id != run.run_id):
            attempt = None
        if run is None or (attempt is not None and attempt.ended is not None):
            self._reject(command, "already-ended")
            return
        expired = attempt is not None and attempt.scribe.recorded(expired_key(input_id))
        if expired or input_id not in run.waiting:
            self._reject(command, "expired")
            return
        asked = run.waiting[input_id]
        event = InputReceived(input_id=input_id, value=value, duration_ms=self._waited_ms(asked))
        done = CommandDone(command.command_id, CommandState.ACCEPTED)
        status = RunStatus.WAITING
        if attempt is not None:
            # It loaded its journal before the answer was there, and must not wait for it again.
            attempt.scribe.learn(answer_key(input_id), value)
            status = RunStatus.WAITING if attempt.scribe.waits else RunStatus.RUNNING
        effects: list[Effect] = [done, *answer_effects(run, input_id, value, status=status)]
        emission = Emission(event, _context(run), key=answer_key(input_id))
        self._answered.add(run.run_id)
        # The next look at the runs must see that the answer made this one due.
        await self._append([emission], effects).durable()

    async def _expire(self, command: Command) -> None:
        if self._status is not SessionStatus.ACTIVE or await self._claims.open_runs(
            self.claim.session
        ):
            self._reject(command, "in-use")
            return
        self._status = SessionStatus.EXPIRED
        self._append(
            [Emission(SessionExpired(ttl_s=self.claim.ttl_s))],
            [
                CommandDone(command.command_id, CommandState.ACCEPTED),
                SessionChange(SessionStatus.EXPIRED),
            ],
        )

    async def _erase(self, command: Command) -> None:
        for run in await self._claims.open_runs(self.claim.session):
            if self._attempt is not None and self._attempt.run.run_id == run.run_id:
                # Its terminal event has to come first.
                self._attempt.cancel(Cancellation("the session is erased", [], []))
                self._handled.discard(command.command_id)
                self._deferred.append(command)
                return
            self._append(*_cancelled(run, None, "the session is erased", self._age_ms(run)))
        # What executors keep goes first: if that fails, the command stays open and is taken up again.
        for workflow in self._workflows.loaded.values():
            if isinstance(workflow.executor, Forgets):
                await workflow.executor.forget(self.claim.session)
        self._status = SessionStatus.ERASED
        event = SessionErased(erased_through=self.log.head, reason=command.body.get("reason"))
        entry = self._append(
            [Emission(event)],
            [
                CommandDone(command.command_id, CommandState.ACCEPTED),
                SessionChange(SessionStatus.ERASED, erase=True),
            ],
        )
        await entry.durable()

    def _reject(self, command: Command, reason: str) -> None:
        event = CommandRejected(command_id=command.command_id, kind=command.kind, reason=reason)
        self._append([Emission(event)], [CommandDone(command.command_id, CommandState.REJECTED)])

    # --- helpers -------------------------------------------------------------------------------

    def _append(self, emissions: Sequence[Emission], effects: Sequence[Effect]) -> Entry:
        entry = self.log.add(emissions, effects)
        self._recorder.submit(self.log)
        return entry

    async def _open_run(self, run_id: str | None) -> Run | None:
        """Return the run's row as it is after everything that is pending, None when it has ended."""
        if self.log.pending:
            await self.log.pending[-1].durable()
        runs = await self._claims.open_runs(self.claim.session)
        return next((r for r in runs if r.run_id == run_id), None)

    def _age_ms(self, run: Run) -> int:
        return max(0, int((self._clock.now() - run.created_at).total_seconds() * 1000))

    def _waited_ms(self, asked: dict[str, object]) -> int:
        since = asked.get("asked_ms")
        now_ms = self._clock.now().timestamp() * 1000
        return max(0, int(now_ms - since)) if isinstance(since, int | float) else 0


def _context(run: Run) -> Context:
    return Context(
        run_id=run.run_id,
        attempt=run.attempts or None,
        parent_run_id=run.parent_run_id,
        user_id=run.user_id,
        trace_id=run.trace_id,
    )


def _accepted(command: Command) -> Event:
    return CommandAccepted.model_validate(
        {
            "command_id": command.command_id,
            "kind": command.kind,
            "start_at": command.body.get("start_at"),
        }
    )


def _cancelled(
    run: Run, command: Command | None, reason: str | None, age_ms: int
) -> tuple[list[Emission], list[Effect]]:
    """Return what ends a run that nobody is executing."""
    context = _context(run)
    emissions = [Emission(RunCancelled(reason=reason, duration_ms=age_ms), context)]
    effects: list[Effect] = [
        RunChange(run_id=run.run_id, status=RunStatus.CANCELLED, waiting={}, due_in_s=0)
    ]
    if command is not None:
        emissions.insert(0, Emission(_accepted(command), context))
        effects.append(CommandDone(command.command_id, CommandState.ACCEPTED))
    return emissions, effects
