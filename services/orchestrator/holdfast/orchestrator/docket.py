"""The commands of one owned session: taken in the order in which they were asked, each settled in the log.

Only the owner appends, so what is decided here needs no lock: a command that arrives after its run's terminal event
finds the run ended and is rejected; one that arrives before decides the end.
"""

import asyncio
from collections.abc import Sequence

import structlog
from pydantic import ValidationError

from holdfast.events.catalog import (
    CommandAccepted,
    CommandRejected,
    Event,
    InputReceived,
    RunCancelled,
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
    Run,
    RunChange,
    RunStatus,
    SessionChange,
    SessionStatus,
)
from holdfast.orchestrator.inputs import answer_effects, answer_key, expired_key
from holdfast.orchestrator.recorder import Recorder
from holdfast.orchestrator.running import Attempt, Cancellation
from holdfast.orchestrator.session_log import Entry, SessionLog
from holdfast.orchestrator.workflow import Forgets, Workflows

log = structlog.get_logger("holdfast.docket")


class Docket:
    """What is asked of one session, and the answers. Belongs to the session's owner."""

    def __init__(
        self,
        claim: Claim,
        session: SessionLog,
        *,
        claims: Claims,
        recorder: Recorder,
        workflows: Workflows,
        clock: Clock,
    ) -> None:
        self.claim, self.log = claim, session
        self._claims, self._recorder, self._workflows = claims, recorder, workflows
        self._clock = clock
        self._handled: set[str] = set()
        self._status = SessionStatus.ACTIVE
        self._attempt: Attempt | None = None
        self._news = asyncio.Event()
        self._commands: list[Command] = list(claim.commands)
        self._deferred: list[Command] = []  # to be taken up when the current run has ended
        self.answered: set[str] = set()  # runs that an answer made due

    @property
    def erased(self) -> bool:
        """Whether the session was erased while it was owned."""
        return self._status is SessionStatus.ERASED

    @property
    def empty(self) -> bool:
        """Whether nothing is open."""
        return not self._commands

    def tell(self, commands: Sequence[Command]) -> None:
        """Take in commands that were asked since the claim; known ones are ignored."""
        fresh = [c for c in commands if c.command_id not in self._handled]
        if fresh:
            self._commands.extend(fresh)
            self._news.set()

    def wake(self) -> None:
        """Let whoever waits for news look around."""
        self._news.set()

    async def news(self) -> None:
        """Wait until there may be something new."""
        await self._news.wait()
        self._news.clear()

    async def open_runs(self) -> Sequence[Run]:
        """Return the runs that have not ended, as they are after everything that is pending.

        A row read while its change is on its way to the database would be believed to be still what it was.
        """
        if self.log.pending:
            await self.log.pending[-1].durable()
        return await self._claims.open_runs(self.claim.session)

    def begin(self, attempt: Attempt) -> None:
        """From here on commands about this run go to its attempt."""
        self._attempt = attempt

    def end(self, attempt: Attempt) -> None:
        """The attempt is over: take up what had to wait for it, and what reached it too late."""
        self._attempt = None
        self._commands[:0] = self._deferred
        self._deferred.clear()
        if (late := attempt.unheeded) is None or self.log.fenced:
            return
        if attempt.ended is not None:
            self._reject(late, "already-ended")
        else:
            # The attempt stopped for another reason, a drain or a wait, while it was told: the run is still there.
            self._handled.discard(late.command_id)
            self._commands.insert(0, late)

    async def settle(self) -> None:
        """Take every open command. Raises Fenced, and StoreUnavailable with the command still open."""
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
            except (EventInvalid, ValidationError) as error:
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
        if self.erased:
            # Nothing follows an erasure in the log: what was asked meanwhile is settled in its row alone.
            self.append([], [CommandDone(command.command_id, CommandState.REJECTED)])
            return
        match command.kind:
            case CommandKind.CREATE:
                event = SessionCreated.model_validate(command.body, extra="ignore")
                self.append(
                    [Emission(event)], [CommandDone(command.command_id, CommandState.ACCEPTED)]
                )
            case CommandKind.START:
                emission = Emission(_accepted(command), Context(run_id=command.run_id))
                self.append([emission], [CommandDone(command.command_id, CommandState.ACCEPTED)])
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
            self.append(*_cancelled(run, command, reason, self.age_ms(run)))

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
        emission = Emission(event, context_of(run), key=answer_key(input_id))
        self.answered.add(run.run_id)
        # The next look at the runs must see that the answer made this one due.
        await self.append([emission], effects).durable()

    async def _expire(self, command: Command) -> None:
        if self._status is not SessionStatus.ACTIVE or await self.open_runs():
            self._reject(command, "in-use")
            return
        self._status = SessionStatus.EXPIRED
        self.append(
            [Emission(SessionExpired(ttl_s=self.claim.ttl_s))],
            [
                CommandDone(command.command_id, CommandState.ACCEPTED),
                SessionChange(SessionStatus.EXPIRED),
            ],
        )

    async def _erase(self, command: Command) -> None:
        for run in await self.open_runs():
            if self._attempt is not None and self._attempt.run.run_id == run.run_id:
                # Its terminal event has to come first.
                self._attempt.cancel(Cancellation("the session is erased", [], []))
                self._handled.discard(command.command_id)
                self._deferred.append(command)
                return
            self.append(*_cancelled(run, None, "the session is erased", self.age_ms(run)))
        # What executors keep goes first: if that fails, the command stays open and is taken up again.
        for workflow in self._workflows.loaded.values():
            if isinstance(workflow.executor, Forgets):
                await workflow.executor.forget(self.claim.session)
        self._status = SessionStatus.ERASED
        event = SessionErased(erased_through=self.log.head, reason=command.body.get("reason"))
        entry = self.append(
            [Emission(event)],
            [
                CommandDone(command.command_id, CommandState.ACCEPTED),
                SessionChange(SessionStatus.ERASED, erase=True),
            ],
        )
        await entry.durable()

    def _reject(self, command: Command, reason: str) -> None:
        event = CommandRejected(command_id=command.command_id, kind=command.kind, reason=reason)
        self.append([Emission(event)], [CommandDone(command.command_id, CommandState.REJECTED)])

    def append(self, emissions: Sequence[Emission], effects: Sequence[Effect]) -> Entry:
        """Append events of the session itself, or of a run that nobody executes."""
        entry = self.log.add(emissions, effects)
        self._recorder.submit(self.log)
        return entry

    async def _open_run(self, run_id: str | None) -> Run | None:
        """Return the run's row, None when it has ended."""
        return next((r for r in await self.open_runs() if r.run_id == run_id), None)

    def age_ms(self, run: Run) -> int:
        """Return how long ago the run was asked for."""
        return max(0, int((self._clock.now() - run.created_at).total_seconds() * 1000))

    def _waited_ms(self, asked: dict[str, object]) -> int:
        since = asked.get("asked_ms")
        now_ms = self._clock.now().timestamp() * 1000
        return max(0, int(now_ms - since)) if isinstance(since, int | float) else 0


def context_of(run: Run) -> Context:
    """Return where events about a run happen that nobody executes."""
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
    context = context_of(run)
    emissions = [Emission(RunCancelled(reason=reason, duration_ms=age_ms), context)]
    effects: list[Effect] = [
        RunChange(run_id=run.run_id, status=RunStatus.CANCELLED, waiting={}, due_in_s=0)
    ]
    if command is not None:
        emissions.insert(0, Emission(_accepted(command), context))
        effects.append(CommandDone(command.command_id, CommandState.ACCEPTED))
    return emissions, effects
