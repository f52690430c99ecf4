"""Recorded runs, as a worker that died left them: `python -m tests.fuzz.journals` records the ones that are missing.

A file that exists is a promise: whatever is changed, a run that an older version began must be gone on with by a newer
one, and come to the same result. Ids stand as `SESSION` and `RUN`.
"""

# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from holdfast.events.commands import CommandState
from holdfast.events.fold import fold, to_plain
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import (
    CommandDone,
    Effect,
    EventRow,
    RunChange,
    RunRequest,
    RunStatus,
    SessionBatch,
    StepResult,
    Ticket,
)
from holdfast.events.store_memory import MemoryStore
from holdfast.events.stream_memory import MemoryStream
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.lease import SharedClaims
from holdfast.orchestrator.workflow import Workflow, workflow
from tests.factories import TENANT
from tests.orchestrator.harness import World, data

JOURNALS = Path(__file__).parents[1] / "golden" / "journals"

# Long enough to append to, and over before the new worker has looked twice.
LEASE_S = 0.2

calls: list[str] = []


@workflow("plain")
async def plain(ctx: WorkflowContext, input: str) -> list[Any]:
    """One of everything whose result is kept. Never changed: its journal was recorded with it."""

    def work(what: str) -> dict[str, str]:
        calls.append(what)
        return {"did": what}

    async with ctx.agent("Ann") as ann:
        said = await ann.message(f"{input} \u2028🙂")
    first = await ctx.step("one", work, "one", public=True)
    again = [await ctx.step("many", work, str(number)) for number in range(3)]
    found = await ctx.tool("search", lambda q: work(q), {"q": "x"})
    await ctx.component("c", "card", {"a": 1})
    now, chance, made = await ctx.now(), await ctx.random(), await ctx.uuid()
    return [said, first, again, found, now.isoformat(), chance, str(made)]


WORKFLOWS: dict[str, Workflow] = {"plain": plain}


@asynccontextmanager
async def new_world() -> AsyncGenerator[World]:
    store, stream = MemoryStore(), MemoryStream()
    # A database that was started long ago: leases that ran out may be taken over at once.
    store._state.started_at = store._state.started_at.replace(year=2000)
    world = World(store, stream, lambda _: SharedClaims(store.claims))
    yield world
    await world.close()
    await stream.close()


async def record(name: str) -> bytes:
    """Run the workflow; return its log, its keys and its steps' results."""
    async with new_world() as world:
        await world.worker(WORKFLOWS[name])
        await world.store.desk.create_session(TENANT, "session-recorded")
        ticket = await world.ask(name, "hello", "session-recorded")
        await world.reaches(ticket)
        events = await world.events(ticket.session)
        journal = await world.claims.journal(ticket.run_id)
    content = {
        "workflow": name,
        "input": "hello",
        "result": data(events[-1])["result"],
        "keys": {str(seq): key for key, (seq, _) in journal.keys.items()},
        "results": {key: body.hex() for key, body in sorted(journal.results.items())},
        "events": [event.body.decode() for event in events],
        "state": to_plain(fold(events)),
    }
    text = orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    return text.replace(ticket.run_id, "RUN").replace("session-recorded", "SESSION").encode()


def events_of(recorded: Mapping[str, Any], ticket: Ticket) -> list[RecordedEvent]:
    """Return a journal's events, under the ids of this ticket."""
    events: list[RecordedEvent] = []
    for line in recorded["events"]:
        body = line.replace("RUN", ticket.run_id).replace("SESSION", ticket.session_id).encode()
        envelope = orjson.loads(body)
        events.append(
            RecordedEvent(envelope["seq"], envelope["type"], envelope.get("run_id"), body)
        )
    return events


async def leave(
    world: World,
    recorded: Mapping[str, Any],
    through: int,
    *,
    session_id: str = "session-replayed",
    lease_s: float = LEASE_S,
) -> Ticket:
    """Put a journal's events up to seq `through` into the log, as a worker that died then left them.

    `lease_s` is for what that worker held: longer than everything takes that is left in one log.
    """
    request = RunRequest(workflow=recorded["workflow"], input=recorded["input"])
    await world.store.desk.create_session(TENANT, session_id)
    ticket = await world.store.desk.start(TENANT, session_id, request)
    [claim] = await world.claims.claim(
        "dead", workflows=[recorded["workflow"]], lease_s=lease_s, limit=1
    )
    effects: list[Effect] = [
        CommandDone(command.command_id, CommandState.ACCEPTED)
        for command in await world.claims.pending([claim.session])
    ]
    effects.append(
        RunChange(run_id=ticket.run_id, status=RunStatus.RUNNING, attempts=1, due_in_s=0)
    )
    kept = events_of(recorded, ticket)[:through]
    keys = {seq: key for seq, key in recorded["keys"].items() if int(seq) <= through}
    # A result is recorded with the event that ends its step; the time and the like have none, and came last.
    ends = set(keys.values())
    is_whole = through >= len(recorded["events"]) - 1
    effects += [
        StepResult(ticket.run_id, key, bytes.fromhex(body))
        for key, body in recorded["results"].items()
        if f"{key}/completed" in ends or (is_whole and key.startswith(("now#", "random#", "uuid#")))
    ]
    rows = [
        EventRow(
            uuid4(), event.type, event.run_id, keys.get(str(event.seq)), 1, event.ts, event.body
        )
        for event in kept
    ]
    batch = SessionBatch(
        session=claim.session, epoch=claim.epoch, expected_head=0, events=rows, effects=effects
    )
    assert not await world.store.writer.append([batch])
    return ticket


def main() -> None:
    JOURNALS.mkdir(exist_ok=True)
    for name in WORKFLOWS:
        path = JOURNALS / f"{name}.json"
        if not path.exists():
            path.write_bytes(asyncio.run(record(name)))


if __name__ == "__main__":
    main()
