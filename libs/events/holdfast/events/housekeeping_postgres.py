"""What the sweep clears away in Postgres: sessions past their time, and what was only kept for a while."""

from holdfast.events.ids import new_command_id
from holdfast.events.pool_postgres import Connection
from holdfast.events.store import ANSWER_KEPT_S, WORKFLOW_KEPT_S

_EXPIRING = """
select s.id from sessions s
 where s.status = 'active' and s.expires_at < statement_timestamp()
   and not exists (select from runs r where r.session = s.id and r.status in ('queued', 'running', 'waiting'))
   and not exists (select from commands c where c.session = s.id and c.state = 'open')
 order by s.expires_at limit $1 for update of s skip locked
"""

_FORGET_ANSWERS = """
delete from idempotency where (tenant, key) in (
    select tenant, key from idempotency
     where created_at < statement_timestamp() - make_interval(secs => $1) order by created_at limit $2)
"""

_FORGET_WORKFLOWS = (
    "delete from workflows where seen_at < statement_timestamp() - make_interval(secs => $1)"
)


async def expire_due(connection: Connection, limit: int) -> int:
    """Ask for the expiry of sessions whose time ran out, and forget what was kept long enough; return how many."""
    async with connection.transaction():
        rows = await connection.fetch(_EXPIRING, limit)
        await connection.executemany(
            "insert into commands (command_id, session, kind) values ($1, $2, 'expire')",
            [(new_command_id(), row["id"]) for row in rows],
        )
    await connection.execute(_FORGET_ANSWERS, ANSWER_KEPT_S, limit)
    await connection.execute(_FORGET_WORKFLOWS, WORKFLOW_KEPT_S)
    return len(rows)
