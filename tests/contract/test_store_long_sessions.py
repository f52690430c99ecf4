"""What Postgres does for one page of a long session does not grow with the session."""

# pyright: reportPrivateUsage=false

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import asyncpg
import pytest

from holdfast.events.append_postgres import PostgresWriter
from holdfast.events.catalog import SessionErased
from holdfast.events.lending_postgres import LendingPool
from holdfast.events.pool_postgres import QUERIES_MAX, Connection
from holdfast.events.read_postgres import _LINES, _READ, _RUNS, _TYPES
from holdfast.events.snapshots_postgres import _LATEST
from holdfast.events.store import (
    LINE_BYTES_MAX,
    PAGE_BYTES_MAX,
    PAGE_EVENTS_MAX,
    SessionChange,
    SessionStatus,
    Store,
)
from tests.factories import Owner, owned_session

pytestmark = pytest.mark.postgres

EVENTS = 20_000

# A filtered page looks at so many seqs at most; here a few, so that the bound is far below the session.
SCANNED = 1_000

# An erasure deletes so many events at a time; what is left for its last transaction are a few.
ERASED_AT_ONCE = 1_999
LEFT = EVENTS % ERASED_AT_ONCE

_FILL = """
insert into events (session, seq, event_id, run_id, epoch, type, ts, body)
select $1, n, gen_random_uuid(), 'run_' || n / 50, 1,
       case when n % 50 = 0 then 'run.completed' else 'message.delta' end, now(), convert_to(repeat('x', 300), 'UTF8')
  from generate_series((select next_seq from sessions where id = $1), $2) n
"""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


class Explaining(asyncpg.Connection):  # pyright: ignore[reportMissingTypeArgument] - none when it runs
    """A connection that has each `delete` carried out with its plan, and keeps those of all that were made."""

    plans: ClassVar[list[dict[str, Any]]] = []

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """Carry out the statement."""
        if not query.lstrip().startswith("delete"):
            return await super().execute(query, *args, timeout=timeout)
        said = await self.fetchval(f"explain (analyze, buffers, format json) {query}", *args)
        self.plans.append(json.loads(said)[0]["Plan"])
        return "DELETE"


@pytest.fixture
async def explaining_writer(database_url: str) -> AsyncIterator[PostgresWriter]:
    """The writer of a store, over connections that explain."""
    Explaining.plans.clear()
    pool = LendingPool(
        database_url,
        keeps=True,
        connection_class=Explaining,
        record_class=asyncpg.Record,
        loop=None,
        min_size=0,
        max_size=1,
        max_queries=QUERIES_MAX,
        max_inactive_connection_lifetime=0,
    )
    async with pool:
        yield PostgresWriter(pool)


@pytest.fixture
async def owner(postgres_store: Store, connection: Connection) -> Owner:
    """The owner of a session of EVENTS events, with neighbours on both sides."""
    before = await owned_session(postgres_store, "before")
    owner = await owned_session(postgres_store, "long")
    after = await owned_session(postgres_store, "after")
    for number, events in (
        (before.session, 2_000),
        (owner.session, EVENTS),
        (after.session, 2_000),
    ):
        await connection.execute(_FILL.replace("'run_'", f"'run_{number}_'"), number, events)
        await connection.execute(
            "update sessions set next_seq = $2 where id = $1", number, events + 1
        )
    await connection.execute("vacuum (analyze) events")
    owner.head = EVENTS
    return owner


@pytest.fixture
def session(owner: Owner) -> int:
    """The session of EVENTS events."""
    return owner.session


async def plan(connection: Connection, query: str, *arguments: Any) -> list[dict[str, Any]]:
    """Return all nodes of the plan that was carried out."""
    said = await connection.fetchval(f"explain (analyze, buffers, format json) {query}", *arguments)
    return list(_nodes(json.loads(said)[0]["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", []):
        yield from _nodes(inner)


def blocks(nodes: list[dict[str, Any]]) -> int:
    """Pages that the whole plan looked at."""
    return nodes[0]["Shared Hit Blocks"] + nodes[0]["Shared Read Blocks"]


def touched(nodes: list[dict[str, Any]]) -> int:
    """Rows of `events` that were looked at, whether they were wanted or not."""
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes
        if node.get("Relation Name") == "events"
    )


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("after", [0, EVENTS // 2, EVENTS - 700, EVENTS])
async def test_a_page_touches_no_more_rows_than_it_has(
    connection: Connection, session: int, after: int, lines: bool
):
    """Wherever it begins, it is the next entries of the primary key: no sort, no scan, no count of what follows."""
    arguments: tuple[Any, ...] = (session, after, 2**53, PAGE_EVENTS_MAX, PAGE_BYTES_MAX)
    if lines:
        arguments = ([session], [after], [PAGE_EVENTS_MAX], ["a"], PAGE_BYTES_MAX, LINE_BYTES_MAX)

    nodes = await plan(connection, _LINES if lines else _READ.format(filters=""), *arguments)

    scans = [node for node in nodes if node.get("Relation Name") == "events"]
    assert [(n["Node Type"], n["Index Name"]) for n in scans] == [("Index Scan", "events_pkey")]
    assert touched(nodes) <= PAGE_EVENTS_MAX + 1
    # Some 20 events a page of 8 KB, and the index above them.
    assert blocks(nodes) < 150


@pytest.mark.parametrize("filters", [_TYPES, _TYPES + _RUNS])
async def test_a_filtered_page_that_finds_nothing_looks_at_its_part_of_the_session_only(
    connection: Connection, session: int, filters: str
):
    begin = EVENTS // 2
    arguments = [session, begin, begin + SCANNED, PAGE_EVENTS_MAX, PAGE_BYTES_MAX, ["x.y"], ["x"]]
    if filters != _TYPES:
        arguments.append(["run_nobodys"])

    nodes = await plan(connection, _READ.format(filters=filters), *arguments)

    assert touched(nodes) <= SCANNED + 1


async def test_the_newest_snapshot_is_found_without_reading_another(
    connection: Connection, session: int
):
    nodes = await plan(connection, _LATEST, session, 2, EVENTS)

    assert all(node["Actual Rows"] <= 1 for node in nodes)


async def test_the_end_of_an_erasure_does_not_look_at_what_was_deleted_before(
    postgres_store: Store,
    explaining_writer: PostgresWriter,
    connection: Connection,
    owner: Owner,
):
    """Deleted rows stay in the table and its indexes until a vacuum, and other sessions wait for this commit."""
    await connection.execute(
        "insert into step_results select distinct run_id, 'a#0', ''::bytea from events where run_id is not null"
    )
    await connection.execute("vacuum (analyze) step_results")
    while await postgres_store.claims.erase_some(
        owner.session, epoch=owner.epoch, limit=ERASED_AT_ONCE
    ):
        pass
    erased = SessionErased(erased_through=owner.head)

    refused = await explaining_writer.append(
        [owner.batch(erased, effects=[SessionChange(SessionStatus.ERASED, erase=True)])]
    )

    page = await postgres_store.reader.read(owner.session, after=0)
    looked = [nodes for nodes in map(list, map(_nodes, Explaining.plans)) if touched(nodes)]
    assert (refused, [event.type for event in page.items]) == (frozenset(), ["session.erased"])
    assert [touched(nodes) for nodes in looked] == [LEFT, LEFT]
    # The index and a page or two for the look, each row's page once more to delete it, and the results.
    assert all(blocks(nodes) < 5 * LEFT for nodes in looked)
