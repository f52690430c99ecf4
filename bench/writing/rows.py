"""The rows that the append load's peers write: the very table, columns and bytes of Holdfast's own events."""

import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import orjson

from holdfast.events.ids import new_run_id, new_session_id

COLUMNS = "session, seq, event_id, run_id, key, epoch, type, schema_v, ts, body"

INSERT_ONE = f"insert into events ({COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"

INSERT_MANY = f"""
insert into events ({COLUMNS})
select * from unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[],
                     $8::smallint[], $9::timestamptz[], $10::bytea[])
"""

TYPE = "custom.bench.drop"

Row = tuple[Any, ...]


class Author:
    """One producer: its session, its run, and how many events it has made."""

    def __init__(self, session: int, session_id: str) -> None:
        self.session, self._session_id, self._run_id = session, session_id, new_run_id()
        self._n = 0

    def row(self) -> Row:
        """Make the next event, as Holdfast records it."""
        self._n += 1
        now = datetime.now(UTC)
        body = orjson.dumps(
            {
                "v": 1,
                "seq": self._n,
                "type": TYPE,
                "session_id": self._session_id,
                "run_id": self._run_id,
                "attempt": 1,
                "ts": f"{now.strftime('%Y-%m-%dT%H:%M:%S')}.{now.microsecond // 1000:03d}Z",
                "data": {"n": self._n, "t": time.monotonic_ns(), "pad": ""},
            }
        )
        key = f"{TYPE}#{self._n}"
        return (self.session, self._n, uuid4(), self._run_id, key, 1, TYPE, 1, now, body)


async def authors(database_url: str, count: int) -> list[Author]:
    """Make sessions, which events refer to; return who writes into them."""
    names = [new_session_id() for _ in range(count)]
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "insert into sessions (tenant, session_id) select 'bench', unnest($1::text[]) returning id, session_id",
            names,
        )
    finally:
        await connection.close()
    return [Author(row["id"], row["session_id"]) for row in rows]
