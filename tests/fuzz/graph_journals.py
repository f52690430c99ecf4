"""A recorded run of `team` with its graph's checkpoints; `python -m tests.fuzz.graph_journals` records what is missing.

What `journals` says of a plain workflow holds here for a graph: what LangGraph and we wrote down in an older version
must be gone on with by a newer one. Ids stand as `SESSION` and `RUN`, the checkpoints' thread as `THREAD`.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, LiteralString

import orjson
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from holdfast.events.erasure_postgres import CHECKPOINT_SCHEMA
from holdfast.events.fold import fold, to_plain
from holdfast.events.store import Ticket
from holdfast.orchestrator.executors.langgraph_saver import checkpoint_pool
from holdfast.orchestrator.workflows.team import team
from tests.factories import TENANT
from tests.orchestrator.graphs import graph_worker
from tests.orchestrator.harness import World, data

JOURNAL = Path(__file__).parents[1] / "golden" / "graphs" / "team.json"

INPUT = {"requirement": "a URL shortener \u2028🙂"}

_TABLES: tuple[LiteralString, ...] = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


async def record(world: World, database_url: str) -> bytes:
    """Run the team; return its log, its keys and results, and its graph's checkpoints."""
    # Few pieces of each message: what is in them is not what is recorded here.
    async with graph_worker(world, database_url, team, coalesce_ms=1_000):
        await world.store.desk.create_session(TENANT, "session-recorded")
        ticket = await world.ask("team", INPUT, "session-recorded")
        await world.reaches(ticket)
    events = await world.events(ticket.session)
    journal = await world.claims.journal(ticket.run_id)
    content = {
        "workflow": "team",
        "input": INPUT,
        "result": data(events[-1])["result"],
        "keys": {str(seq): key for key, (seq, _) in journal.keys.items()},
        "results": {key: body.hex() for key, body in sorted(journal.results.items())},
        "events": [event.body.decode() for event in events],
        "state": to_plain(fold(events)),
        "checkpoints": {table: await _rows(database_url, table, ticket) for table in _TABLES},
    }
    text = orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    return text.replace(ticket.run_id, "RUN").replace("session-recorded", "SESSION").encode()


async def leave_checkpoints(
    database_url: str, recorded: Mapping[str, Any], through: int, ticket: Ticket
) -> None:
    """Put what was on disk of a journal's checkpoints when its event `through` was recorded."""
    events = [orjson.loads(line) for line in recorded["events"]]
    saved = {
        event["data"]["checkpoint_id"]
        for event in events[:through]
        if event["type"] == "checkpoint.saved"
    }
    # A step is called completed when all that its task wrote is on disk. What has no step is the graph's input.
    ended = [event["seq"] for event in events if event["type"] == "step.completed"]
    open_tasks = {events[seq - 1]["step"] for seq in ended if seq > through}
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        for table, rows in recorded["checkpoints"].items():
            for row in rows:
                # Blobs are of no checkpoint: each checkpoint names the versions that it has.
                was_saved = row.get("checkpoint_id") in {*saved, None}
                if was_saved and f"task:{row.get('task_id')}" not in open_tasks:
                    await _insert(connection, table, row, ticket)


async def with_tables(database_url: str) -> None:
    """Make the checkpoints' tables, as the first worker does."""
    async with checkpoint_pool(database_url):
        pass


async def _rows(database_url: str, table: LiteralString, ticket: Ticket) -> list[dict[str, Any]]:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        query = sql.SQL("select * from {} where thread_id = %s order by 2, 3, 4").format(
            sql.Identifier(CHECKPOINT_SCHEMA, table)
        )
        cursor = connection.cursor(row_factory=dict_row)
        found = await cursor.execute(query, [f"{ticket.session}/team"])
        return [
            {
                name: {"hex": value.hex()} if isinstance(value, bytes) else value
                for name, value in row.items()
            }
            | {"thread_id": "THREAD"}
            for row in await found.fetchall()
        ]


async def _insert(
    connection: psycopg.AsyncConnection[Any], table: str, row: Mapping[str, Any], ticket: Ticket
) -> None:
    text = orjson.dumps(row).decode()
    text = text.replace('"RUN"', f'"{ticket.run_id}"')
    text = text.replace('"THREAD"', f'"{ticket.session}/team"')
    values = {name: _value(value) for name, value in orjson.loads(text).items()}
    await connection.execute(
        sql.SQL("insert into {} ({}) values ({})").format(
            sql.Identifier(CHECKPOINT_SCHEMA, table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join([sql.Placeholder()] * len(values)),
        ),
        list(values.values()),
    )


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"]) if value.keys() == {"hex"} else Jsonb(value)
    return value


async def _main() -> None:
    from holdfast.events.migrate import migrate
    from holdfast.events.store_postgres import open_store
    from holdfast.events.stream_redis import RedisStream
    from holdfast.orchestrator.app import PostgresClaimsConnection
    from tests.servers import Servers, create_database, make_server_dir

    servers = Servers(make_server_dir())
    try:
        url = create_database(servers.postgres().url)
        await migrate(url)
        store = await open_store(url, pool_max=6)
        stream = RedisStream.open(servers.redis().url, log_id=store.log_id)
        world = World(store, stream, lambda name: PostgresClaimsConnection(url, name))
        JOURNAL.parent.mkdir(exist_ok=True)
        JOURNAL.write_bytes(await record(world, url))
        await world.close()
        await stream.close()
        await store.close()
    finally:
        servers.stop()


if __name__ == "__main__" and not JOURNAL.exists():
    asyncio.run(_main())
