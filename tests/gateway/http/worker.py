"""A worker of four methods: it owns sessions through the store's own interfaces and records what a test tells it to."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from holdfast.events.catalog.base import Event
from holdfast.events.catalog.session import CommandAccepted, SessionCreated, SessionErased
from holdfast.events.codec import encode
from holdfast.events.commands import Command, CommandKind, CommandState
from holdfast.events.recorded import Context, RecordedEvent
from holdfast.events.store import (
    Claim,
    CommandDone,
    Effect,
    EventRow,
    RunChange,
    RunStatus,
    SessionBatch,
    SessionChange,
    SessionStatus,
    Store,
)
from holdfast.events.stream import Publisher

LEASE_S = 60.0


class Worker:
    """Claims whatever wants an owner and accepts every command; the runs' events come from the test."""

    def __init__(self, store: Store, publisher: Publisher, workflows: Sequence[str]) -> None:
        self._store, self._publisher, self._workflows = store, publisher, workflows
        self._claims: dict[int, Claim] = {}
        self._heads: dict[int, int] = {}

    async def work(self) -> None:
        """Own what can be owned and carry out what was asked."""
        claims = await self._store.claims.claim(
            "worker", workflows=self._workflows, lease_s=LEASE_S, limit=100
        )
        for claim in claims:
            self._claims[claim.session] = claim
            self._heads[claim.session] = claim.head
        for command in await self._store.claims.pending(list(self._claims)):
            await self._carry_out(command)

    async def record(
        self,
        session: int,
        *events: Event,
        run_id: str | None = None,
        effects: Sequence[Effect] = (),
    ) -> Sequence[RecordedEvent]:
        """Append events to a session that this worker owns, and publish them."""
        claim = self._claims[session]
        head = self._heads[session]
        now = datetime.now(UTC)
        recorded: list[RecordedEvent] = []
        rows: list[EventRow] = []
        for seq, event in enumerate(events, head + 1):
            body = encode(
                event, Context(run_id=run_id), session_id=claim.session_id, seq=seq, ts=now
            )
            recorded.append(RecordedEvent(seq, event.type, run_id, body))
            rows.append(EventRow(uuid4(), event.type, run_id, None, 1, now, body))
        batch = SessionBatch(
            session=session, epoch=claim.epoch, expected_head=head, events=rows, effects=effects
        )
        fenced = await self._store.writer.append([batch])
        assert not fenced
        self._heads[session] = head + len(events)
        await self._publisher.publish(session, recorded)
        return recorded

    async def set_run(
        self, session: int, run_id: str, status: RunStatus, event: Event, **change: object
    ) -> None:
        """Record an event of a run that changes its status."""
        effect = RunChange(run_id=run_id, status=status, **change)  # type: ignore[arg-type]
        await self.record(session, event, run_id=run_id, effects=[effect])

    async def _carry_out(self, command: Command) -> None:
        event: Event = CommandAccepted(command_id=command.command_id, kind=command.kind)
        effects: list[Effect] = [CommandDone(command.command_id, CommandState.ACCEPTED)]
        if command.kind is CommandKind.CREATE:
            event = SessionCreated(metadata=command.body.get("metadata"))
        elif command.kind is CommandKind.ERASE:
            event = SessionErased(erased_through=self._heads[command.session])
            effects.append(SessionChange(SessionStatus.ERASED, erase=True))
        await self.record(command.session, event, run_id=command.run_id, effects=effects)
