"""The commands of one owned session: taken in the order in which they were asked, each settled in the log.

Only the owner appends, so what is decided here needs no lock: a command that arrives after its run's terminal event
finds the run ended and is rejected; one that arrives before decides the end.
"""

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import structlog
from pydantic import ValidationError

from holdfast.events.catalog import (
    CommandRejected,
    SessionCreated,
    SessionErased,
    SessionExpired,
)
from holdfast.events.clock import Clock
from holdfast.events.commands import Command, CommandKind, CommandState
from holdfast.events.errors import EventInvalid, StoreUnavailable
from holdfast.events.recorded import Context, Emission
from holdfast.events.store import (
    COMMANDS_AT_ONCE,
    Claim,
    Claims,
    CommandDone,
    Effect,
    Run,
    RunStatus,
    SessionChange,
    SessionStatus,
)
from holdfast.orchestrator.answering import Answering
from holdfast.orchestrator.cancelling import Cancelling
from holdfast.orchestrator.family import root_of
from holdfast.orchestrator.outlook import Outlook
from holdfast.orchestrator.recorder import Recorder
from holdfast.orchestrator.running import Attempt, Cancellation
from holdfast.orchestrator.session_log import Entry, SessionLog
from holdfast.orchestrator.verdicts import accepted, own_event
from holdfast.orchestrator.workflow import Forgets, Workflows

# Events, and rows of each other kind, that one transaction of an erasure deletes: 0.1 s of Postgres, in which nobody
# asks anything of the session. A million events are fifty of them; its last one would take longer than a statement may.
ERASED_AT_ONCE = 20_000

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
        self._status = claim.status
        self._attempt: Attempt | None = None
        self._news = asyncio.Event()
        self._commands: list[Command] = list(claim.commands)
        self._more = len(claim.commands) >= COMMANDS_AT_ONCE
        self._deferred: list[Command] = []  # to be taken up when the current run has ended
        self._outlook = Outlook(claim, session, claims=claims, clock=clock)
        self.time = self._outlook.time
        self._answering = Answering(self.append, self._reject, time=self.time)
        self._cancelling = Cancelling(
            self.append,
            self._reject,
            open_runs=self._outlook.open_runs,
            claims=claims,
            workflows=workflows,
            clock=clock,
        )
        self._started: set[str | None] = set()  # runs whose start is settled

    @property
    def erased(self) -> bool:
        """Whether the session was erased while it was owned."""
        return self._status is SessionStatus.ERASED

    @property
    def answered(self) -> AbstractSet[str]:
        """The runs that an answer made due."""
        return self._answering.answered

    @property
    def empty(self) -> bool:
        """Whether nothing is open."""
        return not self._commands

    def tell(self, commands: Sequence[Command]) -> None:
        """Take in commands that were asked since the claim; known ones are ignored."""
        fresh = [c for c in commands if c.command_id not in self._handled]
        if fresh:
            self._more = len(commands) >= COMMANDS_AT_ONCE
            self._commands.extend(fresh)
            self._news.set()

    def wake(self) -> None:
        """Let whoever waits for news look around."""
        self._news.set()

    async def forwarded(self) -> None:
        """Wait until everybody elsewhere was told of the ends of their runs, or was given up."""
        await self._cancelling.forwarded()

    async def news(self) -> None:
        """Wait until there may be something new."""
        await self._news.wait()
        self._news.clear()

    async def open_runs(self) -> Sequence[Run]:
        """Return the runs that have not ended, as they are after everything that is pending."""
        return await self._outlook.open_runs()

    async def look(self) -> Sequence[Run]:
        """Return the runs of which one may be taken up next (see `Outlook`), and take in what was asked."""
        look = await self._outlook.look()
        self.tell(look.commands)
        return look.runs

    async def recorded(self) -> None:
        """Wait until all that was added to the log is in it. Raises what kept the last of it out."""
        await self._outlook.recorded()

    async def admits(self, run: Run) -> bool:
        """Tell whether the run may begin: its start has to be settled first.

        A run that was asked for between the look at the commands and the one at the runs is seen before its command.
        """
        if run.status is not RunStatus.QUEUED or run.run_id in self._started:
            return True
        self.tell(await self._claims.pending([self.claim.session]))
        self._started.add(run.run_id)  # by an earlier owner, unless it is open
        return self.empty

    def begin(self, attempt: Attempt) -> None:
        """From here on commands about this run go to its attempt."""
        self._attempt = self._cancelling.attempt = attempt

    def end(self, attempt: Attempt) -> None:
        """The attempt is over: take up what had to wait for it, and what reached it too late."""
        self._attempt = self._cancelling.attempt = None
        self._commands[:0] = self._deferred
        self._deferred.clear()
        if self.log.fenced:
            return
        for command in attempt.scribe.family.unheeded:
            # It came too late for a child: taken up again, it finds the child ended, or not executed.
            self._handled.discard(command.command_id)
            self._commands.insert(0, command)
        if (late := attempt.unheeded) is None:
            return
        if attempt.ended is not None:
            self._reject(late, "already-ended")
        else:
            # The attempt stopped for another reason, a drain or a wait, while it was told: the run is still there.
            self._handled.discard(late.command_id)
            self._commands.insert(0, late)

    async def settle(self) -> None:
        """Take every open command. Raises Fenced, and StoreUnavailable with the command still open."""
        await self._settle_told()
        while self._more:
            # What was told was a part of it: the next one shows when this one isn't open any more.
            await self.recorded()
            commands = await self._claims.pending([self.claim.session])
            self._more = False
            self.tell(commands)
            await self._settle_told()

    async def _settle_told(self) -> None:
        while self._commands:
            command = self._commands.pop(0)
            if command.command_id in self._handled:
                continue
            self._handled.add(command.command_id)
            try:
                await self._take(command)
                # Whoever asks faster than the database keeps up fills no memory of ours.
                await self.log.room()
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
        ended = self._status is not SessionStatus.ACTIVE
        if self.erased or (ended and command.kind is not CommandKind.ERASE):
            # Nothing follows an erasure in the log, and an expiry only that: streams have ended with it. What was
            # asked meanwhile is settled in its row alone.
            self.append([], [CommandDone(command.command_id, CommandState.REJECTED)])
            return
        match command.kind:
            case CommandKind.CREATE:
                event = SessionCreated.model_validate(command.body, extra="ignore")
                self.append(
                    [Emission(event)], [CommandDone(command.command_id, CommandState.ACCEPTED)]
                )
            case CommandKind.START:
                self._started.add(command.run_id)
                emission = Emission(accepted(command), Context(run_id=command.run_id))
                self.append([emission], [CommandDone(command.command_id, CommandState.ACCEPTED)])
            case CommandKind.CANCEL:
                await self._cancelling.settle(command)
            case CommandKind.INPUT:
                runs = await self._outlook.open_runs()
                await self._answering.settle(command, runs, self._attempt)
            case CommandKind.EMIT:
                self.append(
                    [own_event(command)], [CommandDone(command.command_id, CommandState.ACCEPTED)]
                )
            case CommandKind.EXPIRE:
                await self._expire(command)
            case CommandKind.ERASE:
                await self._erase(command)

    async def _expire(self, command: Command) -> None:
        # The commands last: more may have come while the runs were looked at. The sweep asks again later.
        if await self._outlook.open_runs() or any(
            c.command_id not in self._handled for c in self._commands
        ):
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
        runs = await self._outlook.open_runs()
        for run in [run for run in runs if root_of(run, runs) is run]:
            if self._attempt is not None and self._attempt.run.run_id == run.run_id:
                # Its terminal event has to come first.
                self._attempt.cancel(Cancellation("the session is erased", [], []))
                self._handled.discard(command.command_id)
                self._deferred.append(command)
                return
            self._cancelling.end_idle(run, runs, None, "the session is erased")
        # What tells whom to tell of the ends goes with the erasure.
        await self._cancelling.forwarded()
        # What executors keep goes first: if that fails, the command stays open and is taken up again.
        for workflow in self._workflows.loaded.values():
            if isinstance(workflow.executor, Forgets):
                await workflow.executor.forget(self.claim.session)
        # A long session bit by bit: the last transaction is a short one, and other sessions' commits don't wait for it.
        while self.log.head > ERASED_AT_ONCE and await self._claims.erase_some(
            self.log.session, epoch=self.log.epoch, limit=ERASED_AT_ONCE
        ):
            pass
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
        self._outlook.changes(effects)
        entry = self.log.add(emissions, effects)
        self._recorder.submit(self.log)
        return entry

    def age_ms(self, run: Run) -> int:
        """Return how long ago the run was asked for."""
        return max(0, int((self._clock.now() - run.created_at).total_seconds() * 1000))
