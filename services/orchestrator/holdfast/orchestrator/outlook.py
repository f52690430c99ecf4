"""What is open in one owned session, as its owner sees it: from the database, or as it came with the claim."""

from collections.abc import Sequence

from holdfast.events.clock import Clock
from holdfast.events.store import Claim, Claims, CommandDone, Effect, Look, Run
from holdfast.orchestrator.session_log import Entry, SessionLog
from holdfast.orchestrator.store_time import StoreTime


class Outlook:
    """Looks at a session's rows, after everything that its owner has on the way to them."""

    def __init__(self, claim: Claim, session: SessionLog, *, claims: Claims, clock: Clock) -> None:
        self.time = StoreTime(clock)
        self._session, self._log, self._claims = claim.session, session, claims
        # As it came with the claim, until somebody has seen it. Commands are in the docket's hands from the beginning.
        self._claimed: Look | None = Look([], self._seen(claim.runs))
        self._unproven: Entry | None = None  # on its way when the claim's look was handed out

    async def look(self) -> Look:
        """Return what is open. The first time that is as of the claim, unless the owner has changed a run since.

        So good enough for whoever takes up the next run, and for nobody else: what was asked since is not in it.
        """
        claimed, self._claimed = self._claimed, None
        if claimed is not None:
            self._unproven = self._log.pending[-1] if self._log.pending else None
            return claimed
        await self.recorded()
        look = await self._claims.look(self._session)
        self._seen(look.runs)
        return look

    async def open_runs(self) -> Sequence[Run]:
        """Return the runs that have not ended, as they are after everything that is pending.

        A row read while its change is on its way to the database would be believed to be still what it was.
        """
        await self.recorded()
        return self._seen(await self._claims.open_runs(self._session))

    async def recorded(self) -> None:
        """Wait until all that was added to the log is in it. Raises what kept the last of it out."""
        unproven, self._unproven = self._unproven, None
        if unproven is not None:
            await unproven.durable()
        if self._log.pending:
            await self._log.pending[-1].durable()

    def changes(self, effects: Sequence[Effect]) -> None:
        """Take note of what the owner is about to change: a run's row is not as it came with the claim any more."""
        if not all(isinstance(effect, CommandDone) for effect in effects):
            self._claimed = None

    def _seen(self, runs: Sequence[Run]) -> Sequence[Run]:
        for run in runs:
            self.time.learn(run.seen_at)
        return runs
