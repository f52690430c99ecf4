"""The same request twice gets the same answer: kept in the transaction that did what was asked."""

import hashlib
from typing import Any

import asyncpg

from holdfast.events.errors import KeyInFlight, KeyReused
from holdfast.events.pool_postgres import Connection, json_text, json_value
from holdfast.events.store import Idempotency


async def remembered(
    connection: Connection, tenant: str, idempotency: Idempotency | None
) -> dict[str, Any] | None:
    """Return the answer given before to this request, None if there was none.

    Holds the key until the transaction ends. Raises KeyInFlight while another transaction holds it and KeyReused
    when the key belongs to a different request.
    """
    if idempotency is None:
        return None
    row = await connection.fetchrow(
        "select * from recall_answer($1, $2, $3)",
        number_of(tenant, idempotency),
        tenant,
        idempotency.key,
    )
    assert row is not None, "there is a row, whatever it tells"
    return answer_of(idempotency, row)


def number_of(tenant: str, idempotency: Idempotency) -> int:
    """Return the number that stands for a key in the database's locks."""
    name = f"{tenant}\0{idempotency.key}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), signed=True)


def answer_of(idempotency: Idempotency, row: asyncpg.Record) -> dict[str, Any] | None:
    """Return the answer that a row of `recall_answer` tells of. Raises as `remembered`."""
    if not row["free"]:
        raise KeyInFlight(idempotency.key)
    if row["response"] is None:
        return None
    if row["request_hash"] != idempotency.request_hash:
        raise KeyReused(idempotency.key)
    return json_value(row["response"])


async def remember(
    connection: Connection,
    tenant: str,
    idempotency: Idempotency | None,
    session: int,
    answer: dict[str, Any],
) -> None:
    """Keep the answer, in the transaction that earned it, until ANSWER_KEPT_S are over or the session is erased."""
    if idempotency is not None:
        await connection.execute(
            """insert into idempotency (tenant, key, request_hash, session, response)
               values ($1, $2, $3, $4, $5)""",
            tenant,
            idempotency.key,
            idempotency.request_hash,
            session,
            json_text(answer),
        )
