"""The same request twice gets the same answer: kept in the transaction that did what was asked."""

import hashlib
from typing import Any

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
    name = f"{tenant}\0{idempotency.key}".encode()
    number = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), signed=True)
    if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", number):
        raise KeyInFlight(idempotency.key)
    row = await connection.fetchrow(
        "select request_hash, response from idempotency where tenant = $1 and key = $2",
        tenant,
        idempotency.key,
    )
    if row is None:
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
