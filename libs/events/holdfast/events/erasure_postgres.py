"""What an erasure deletes, in the transaction that appends `session.erased`: all of it goes, or nothing.

Everything that says what happened in a session has to be named here, what executors keep in this database too: the
worker that erases a session need not know the workflows that ran in it.
"""

from collections.abc import Sequence

from holdfast.events.pool_postgres import Connection

_LOG = (
    """delete from step_results where run_id in
         (select run_id from runs where session = any($1)
          union select run_id from events where session = any($1) and run_id is not null)""",
    "delete from snapshots where session = any($1)",
    # A dead letter's error may quote what its handler was given, and there is nothing left to try again with.
    "delete from parked_events where session = any($1)",
    "update runs set input = null, waiting = '{}', user_id = null where session = any($1)",
    "update commands set body = '{}' where session = any($1)",
    "update sessions set metadata = '{}' where id = any($1)",
    "delete from idempotency where session = any($1)",
    "delete from events e using sessions s where s.id = any($1) and e.session = s.id and e.seq < s.min_seq",
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


async def erase(connection: Connection, sessions: Sequence[int]) -> None:
    """Delete everything about these sessions but their rows' skeletons and their last events."""
    for table in await _checkpoint_tables(connection):
        await connection.execute(_OF_CHECKPOINTS.format(table=table), sessions)
    for statement in _LOG:
        await connection.execute(statement, sessions)


async def _checkpoint_tables(connection: Connection) -> list[str]:
    """Return those that there are: none where no worker ever loaded a graph."""
    names = [f"{CHECKPOINT_SCHEMA}.{table}" for table in _CHECKPOINTS]
    rows = await connection.fetch(
        "select name from unnest($1::text[]) as name where to_regclass(name) is not null", names
    )
    return [row["name"] for row in rows]
