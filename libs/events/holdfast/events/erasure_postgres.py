"""What an erasure deletes: nothing of it is left when `session.erased` is committed.

The transaction that appends that event deletes whatever is there. Of a session so long that this would take more than a
statement may, the owner deletes the oldest part before, `erase_some` by `erase_some`.

Everything that says what happened in a session has to be named here, what executors keep in this database too: the
worker that erases a session need not know the workflows that ran in it.
"""

from collections.abc import Mapping

from holdfast.events.pool_postgres import Connection

# Events from $2 to before $3, and not just all before $3: what was deleted before is still in the index and in the
# table, and to pass by a million rows that are gone takes a second. For one session, since for a join with a list of
# such parts Postgres forgets the lower bound. Events tell which runs there were, those without a row too: they go last.
_RESULTS_OF_EVENTS = """
delete from step_results where run_id in
    (select run_id from events where session = $1 and seq >= $2 and seq < $3 and run_id is not null)
"""
_EVENTS = "delete from events where session = $1 and seq >= $2 and seq < $3"

_LOG = (
    "delete from step_results where run_id in (select run_id from runs where session = any($1))",
    "delete from snapshots where session = any($1)",
    # A dead letter's error may quote what its handler was given, and there is nothing left to try again with.
    "delete from parked_events where session = any($1)",
    # Only what says something still: a long session's rows have been through `erase_some`.
    """update runs set input = null, waiting = '{}', user_id = null
        where session = any($1) and (input is not null or waiting::text <> '{}' or user_id is not null)""",
    "update commands set body = '{}' where session = any($1) and body::text <> '{}'",
    "update sessions set metadata = '{}' where id = any($1)",
    "delete from idempotency where session = any($1)",
)

# The schema that LangGraph's checkpoints are kept in, beside the log, and its tables that are about a thread.
CHECKPOINT_SCHEMA = "langgraph"
_CHECKPOINTS = ("checkpoint_writes", "checkpoint_blobs", "checkpoints")

# A thread is `<session>/<workflow>`. By whole names and not by their beginning: that is what the tables' keys find,
# and a look at every checkpoint of every session would take longer than a statement may.
_OF_CHECKPOINTS = """
delete from {table} where thread_id = any(
    select distinct session || '/' || workflow from runs where session = any($1))
"""

# By place in the table, since none of these has an order to go by; the beginning of the key finds a thread's.
_SOME_CHECKPOINTS = """
delete from {table} where ctid = any(array(
    select ctid from {table} where thread_id = any(
        select distinct session || '/' || workflow from runs where session = $1) limit $2))
"""

_OWNED = """
select min_seq, next_seq from sessions where id = $1 and epoch = $2 and owner is not null for no key update
"""

_SOME_EVENTS = (
    _RESULTS_OF_EVENTS,
    "delete from snapshots where session = $1 and seq >= $2 and seq < $3",
    _EVENTS,
    "update sessions set min_seq = $3 where id = $1 and min_seq = $2",
)

# What is asked of a session and what ran in it keeps its row, which says no more than that it was.
_SOME_ROWS = (
    """update runs set input = null, waiting = '{}', user_id = null where run_id = any(array(
          select run_id from runs
           where session = $1 and (input is not null or waiting::text <> '{}' or user_id is not null) limit $2))""",
    """update commands set body = '{}' where command_id = any(array(
          select command_id from commands
           where session = $1 and state <> 'open' and body::text <> '{}' limit $2))""",
)


async def erase_some(connection: Connection, session: int, epoch: int, limit: int) -> bool:
    """Delete the oldest part of a session for its owner; return whether there may be more than `limit` left."""
    owned = await connection.fetchrow(_OWNED, session, epoch)
    if owned is None:
        return False
    more = owned["next_seq"] - owned["min_seq"] > limit
    if more:
        for statement in _SOME_EVENTS:
            await connection.execute(statement, session, owned["min_seq"], owned["min_seq"] + limit)
    checkpoints = [
        _SOME_CHECKPOINTS.format(table=table) for table in await _checkpoint_tables(connection)
    ]
    for statement in (*checkpoints, *_SOME_ROWS):
        said = await connection.execute(statement, session, limit)
        more = more or int(said.rpartition(" ")[2]) >= limit
    return more


async def erase(connection: Connection, rests: Mapping[int, range]) -> None:
    """Delete everything about these sessions but their rows' skeletons and their last events.

    Of each session, by number, the seqs that are left to delete: from the oldest it has to before the last.
    """
    sessions = list(rests)
    for table in await _checkpoint_tables(connection):
        await connection.execute(_OF_CHECKPOINTS.format(table=table), sessions)
    for statement in _LOG:
        await connection.execute(statement, sessions)
    for session, rest in rests.items():
        for statement in (_RESULTS_OF_EVENTS, _EVENTS):
            await connection.execute(statement, session, rest.start, rest.stop)


async def _checkpoint_tables(connection: Connection) -> list[str]:
    """Return those that there are: none where no worker ever loaded a graph."""
    names = [f"{CHECKPOINT_SCHEMA}.{table}" for table in _CHECKPOINTS]
    rows = await connection.fetch(
        "select name from unnest($1::text[]) as name where to_regclass(name) is not null", names
    )
    return [row["name"] for row in rows]
