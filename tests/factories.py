"""Sessions, runs, owners and rows for tests, each in one line."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from holdfast.events.catalog import Event, MessageDelta, RunStarted, SessionCreated
from holdfast.events.codec import encode
from holdfast.events.commands import Command, CommandKind, CommandState, OnBusy
from holdfast.events.recorded import NOWHERE, Context, Emission
from holdfast.events.store import (
    Claim,
    CommandDone,
    Effect,
    EventRow,
    RunChange,
    RunRequest,
    RunStatus,
    SessionBatch,
    Store,
    Ticket,
)

TENANT = "acme"
WORKFLOW = "team"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def delta(text: str = "hello") -> MessageDelta:
    """An ordinary event."""
    return MessageDelta(message_id="m1", text=text)


def in_run(event: Event, run_id: str, key: str | None = None) -> Emission:
    """The event as one of a run's."""
    return Emission(event, Context(run_id=run_id), key)


def make_row(
    event: Event,
    context: Context = NOWHERE,
    *,
    seq: int,
    session_id: str = "s",
    key: str | None = None,
    event_id: UUID | None = None,
    ts: datetime | None = None,
) -> EventRow:
    """The row that a recorder makes of an event as number `seq` of its session."""
    ts = ts or NOON + timedelta(seconds=seq)
    return EventRow(
        event_id=event_id or uuid4(),
        type=event.type,
        run_id=context.run_id,
        key=key,
        schema_v=event.schema_v,
        ts=ts,
        body=encode(event, context, session_id=session_id, seq=seq, ts=ts),
    )


@dataclass
class Owner:
    """A worker that owns one session and knows its head, as a recorder does."""

    store: Store
    worker: str
    session: int
    session_id: str
    epoch: int
    head: int

    @classmethod
    def of(cls, store: Store, worker: str, claim: Claim) -> "Owner":
        """The owner that a claim makes."""
        return cls(store, worker, claim.session, claim.session_id, claim.epoch, claim.head)

    def batch(self, *events: Event | Emission, effects: Sequence[Effect] = ()) -> SessionBatch:
        """The batch that records these directly after the head that this owner knows."""
        emissions = [e if isinstance(e, Emission) else Emission(e) for e in events]
        return SessionBatch(
            session=self.session,
            epoch=self.epoch,
            expected_head=self.head,
            events=[
                make_row(e.event, e.context, seq=seq, session_id=self.session_id, key=e.key)
                for seq, e in enumerate(emissions, self.head + 1)
            ],
            effects=effects,
        )

    async def append(
        self, *events: Event | Emission, effects: Sequence[Effect] = ()
    ) -> SessionBatch:
        """Record these; the head moves on. Fails when the session is fenced."""
        batch = self.batch(*events, effects=effects)
        assert await self.store.writer.append([batch]) == frozenset()
        self.head += len(batch.events)
        return batch

    async def pending(self, kind: CommandKind | None = None) -> list[Command]:
        """The session's open commands, of one kind if given."""
        commands = await self.store.claims.pending([self.session])
        return [command for command in commands if kind in (None, command.kind)]

    async def settle(self, *kinds: CommandKind) -> None:
        """Accept what was asked, all of it or only these kinds, without an event."""
        done = [
            CommandDone(command.command_id, CommandState.ACCEPTED)
            for command in await self.pending()
            if not kinds or command.kind in kinds
        ]
        await self.append(effects=done)

    async def change(self, run_id: str, status: RunStatus, **changes: Any) -> None:
        """Change a run's row, with an ordinary event of the run."""
        change = replace(RunChange(run_id=run_id, status=status), **changes)
        await self.append(in_run(delta(), run_id), effects=[change])

    async def renew(self, lease_s: float) -> bool:
        """Extend the lease; tell whether it was still this worker's."""
        lost = await self.store.claims.renew(
            self.worker, {self.session: self.epoch}, lease_s=lease_s
        )
        return self.session not in lost

    async def release(self, *, published: int = 0) -> None:
        """Give the session up."""
        await self.store.claims.release(
            {self.session: self.epoch}, published={self.session: published}
        )


async def claim_all(
    store: Store,
    worker: str = "w1",
    *,
    workflows: Sequence[str] = (WORKFLOW,),
    lease_s: float = 30,
    limit: int = 100,
) -> Sequence[Claim]:
    """Claim what there is to claim."""
    return await store.claims.claim(worker, workflows=workflows, lease_s=lease_s, limit=limit)


async def claim_one(store: Store, worker: str = "w1", *, lease_s: float = 30) -> Owner:
    """Claim the one session that has something to do."""
    [claim] = await claim_all(store, worker, lease_s=lease_s)
    return Owner.of(store, worker, claim)


async def owned_session(
    store: Store,
    session_id: str = "s",
    *,
    worker: str = "w1",
    tenant: str = TENANT,
    ttl_s: int | None = None,
    metadata: dict[str, Any] | None = None,
    lease_s: float = 30,
) -> Owner:
    """A new session with its first event, owned by a worker."""
    await store.desk.create_session(tenant, session_id, ttl_s=ttl_s, metadata=metadata)
    owner = await claim_one(store, worker, lease_s=lease_s)
    assert owner.session_id == session_id
    [create] = await owner.pending()
    done = CommandDone(create.command_id, CommandState.ACCEPTED)
    await owner.append(SessionCreated(), effects=[done])
    return owner


async def ask_run(
    store: Store,
    session_id: str | None = "s",
    *,
    tenant: str = TENANT,
    workflow: str = WORKFLOW,
    on_busy: OnBusy = OnBusy.ENQUEUE,
    **request: Any,
) -> Ticket:
    """Ask for a run."""
    request.setdefault("input", None)
    wanted = RunRequest(workflow=workflow, on_busy=on_busy, **request)
    return await store.desk.start(tenant, session_id, wanted)


async def running(owner: Owner, **request: Any) -> str:
    """Ask for a run in the owner's session and begin it; return its id."""
    ticket = await ask_run(owner.store, owner.session_id, **request)
    [start] = [c for c in await owner.pending(CommandKind.START) if c.run_id == ticket.run_id]
    await owner.append(
        in_run(RunStarted(workflow=WORKFLOW, workflow_version="1"), ticket.run_id),
        effects=[
            CommandDone(start.command_id, CommandState.ACCEPTED),
            RunChange(run_id=ticket.run_id, status=RunStatus.RUNNING, attempts=1),
        ],
    )
    return ticket.run_id


async def fenced_owner(store: Store, session_id: str) -> Owner:
    """An owner that doesn't know yet that another worker has taken its session."""
    owner = await owned_session(store, session_id)
    await owner.release()
    await ask_run(store, session_id)
    await claim_one(store, "w2")
    return owner
