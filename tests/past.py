"""A log that has been at work for a while: sessions at rest, and a Postgres that knows its tables."""

import asyncpg

SESSIONS, EVENTS = 10_000, 10


async def give_past(database_url: str) -> None:
    """Give a migrated log ten thousand sessions at rest, and let Postgres know, as it does by itself after a minute.

    Of an empty log Postgres knows nothing: any plan is as good as another, and the first one stays.
    """
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            """insert into sessions (tenant, session_id, next_seq, published_seq)
               select 'past', 'past-' || n, $2::int + 1, $2 from generate_series(1, $1::int) n""",
            SESSIONS,
            EVENTS,
        )
        await connection.execute(
            """insert into events (session, seq, event_id, epoch, type, schema_v, ts, body)
               select s.id, n, gen_random_uuid(), 1, 'message.delta', 1, now(), '{}'
                 from sessions s cross join generate_series(1, $1::int) n where s.tenant = 'past'""",
            EVENTS,
        )
        # Vacuumed, too: a table that has just grown is, by itself, in the middle of a test or a measurement.
        await connection.execute("vacuum (analyze)")
    finally:
        await connection.close()
