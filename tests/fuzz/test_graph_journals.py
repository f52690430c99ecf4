"""A graph's run that an older version began is gone on with by this one, from the checkpoints that that one left."""

from collections.abc import Iterable
from typing import Any

import orjson
import psycopg
import pytest

from holdfast.events.fold import fold, to_plain
from holdfast.events.store import RunStatus, Ticket
from holdfast.orchestrator.workflows.team import ROLES, team
from tests.fuzz.graph_journals import JOURNAL, leave_checkpoints, with_tables
from tests.fuzz.journals import events_of, leave
from tests.orchestrator.graphs import graph_worker
from tests.orchestrator.harness import World, check_log, data, of_type, told, types, until

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

# Nothing is taken over before all is left; then all leases are over at once.
LEASE_S = 60.0

# Many at once on a machine that does other things.
ENDS_S = 90.0

RECORDED: dict[str, Any] = orjson.loads(JOURNAL.read_bytes())
EVENTS: list[dict[str, Any]] = [orjson.loads(line) for line in RECORDED["events"]]

# Wherever a worker can have died with something else on disk than an event before; pieces of messages are alike.
BEGINNINGS = [
    event["seq"]
    for event in EVENTS
    if event["seq"] >= next(e["seq"] for e in EVENTS if e["type"] == "run.started")
    and event["type"] not in ("message.delta", "run.completed")
]


@pytest.fixture(autouse=True)
def quick_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_LLM_OFFLINE_TOKEN_DELAY_S", "0")


def test_the_journal_folds_to_the_state_that_it_had() -> None:
    ticket = Ticket(run_id="run_1", session=1, session_id="s", after=0)

    state = orjson.dumps(to_plain(fold(events_of(RECORDED, ticket)))).decode()

    told = orjson.loads(state.replace('"s"', '"SESSION"').replace("run_1", "RUN"))
    # Its version tells which snapshots a fold may begin with, and nothing of the log.
    assert told | {"fold_version": None} == RECORDED["state"] | {"fold_version": None}


async def test_all_of_the_journal_is_taken_over_and_nobody_speaks_again(
    real_world: World, database_url: str
) -> None:
    before = len(EVENTS) - 1

    [ticket] = await _left(real_world, database_url, [before])
    await _gone_on_with(real_world, database_url, [ticket])

    events = await real_world.events(ticket.session)
    assert types(events)[before:] == ["run.resumed", "checkpoint.restored", "run.completed"]
    assert [e.body for e in events[:before]] == [
        e.body for e in events_of(RECORDED, ticket)[:before]
    ]


async def test_a_sample_of_its_beginnings_is_gone_on_with(
    real_world: World, database_url: str
) -> None:
    tickets = await _left(real_world, database_url, BEGINNINGS[::11])
    await _gone_on_with(real_world, database_url, tickets)


@pytest.mark.fault
@pytest.mark.long
async def test_each_of_its_beginnings_is_gone_on_with(real_world: World, database_url: str) -> None:
    tickets = await _left(real_world, database_url, BEGINNINGS)
    await _gone_on_with(real_world, database_url, tickets)


async def _left(world: World, database_url: str, beginnings: Iterable[int]) -> list[Ticket]:
    await with_tables(database_url)
    tickets: list[Ticket] = []
    for through in beginnings:
        name = f"session-{through}"
        ticket = await leave(world, RECORDED, through, session_id=name, lease_s=LEASE_S)
        await leave_checkpoints(database_url, RECORDED, through, ticket)
        tickets.append(ticket)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("update sessions set lease_until = now() - interval '1 s'")
    return tickets


async def _gone_on_with(world: World, database_url: str, tickets: Iterable[Ticket]) -> None:
    """Whoever had spoken is not asked again, and all come to the same end."""
    # Few pieces of each message: they are not what is looked at.
    async with graph_worker(world, database_url, team, coalesce_ms=1_000):
        for ticket in tickets:

            async def ended(ticket: Ticket = ticket) -> bool:
                return (await world.run(ticket)).status.ended

            await until(ended, deadline_s=ENDS_S)
            run = await world.run(ticket)
            events = await world.events(ticket.session)
            assert run.status is RunStatus.COMPLETED, ticket
            assert data(events[-1])["result"] == RECORDED["result"], ticket
            assert told(events) == told(events_of(RECORDED, ticket)), ticket
            assert len(of_type(events, "step.completed")) == len(ROLES), ticket
            check_log(events)
