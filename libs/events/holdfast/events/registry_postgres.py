"""The table in which workers announce their workflows."""

from collections.abc import Sequence

from holdfast.events.pool_postgres import Pool, acquired, json_text, json_value
from holdfast.events.store import WORKER_SEEN_S, WorkflowInfo

_ANNOUNCE = """
insert into workflows (name, version, worker, input_schema, description, load_error, max_concurrent, tenant_max_runs,
                       seen_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp())
on conflict (name, version, worker) do update
   set input_schema = excluded.input_schema, description = excluded.description,
       load_error = excluded.load_error, max_concurrent = excluded.max_concurrent,
       tenant_max_runs = excluded.tenant_max_runs, seen_at = excluded.seen_at
"""

# The row seen last speaks for its version; rows of dead workers stay, so that a workflow is
# known (and a run of it accepted, to wait) while every worker is being restarted.
_WORKFLOWS = """
select distinct on (name, version) name, version, input_schema, description, load_error, max_concurrent,
       tenant_max_runs, array(select worker from workflows o
              where o.name = w.name and o.version = w.version and o.load_error is null
                and o.seen_at > clock_timestamp() - make_interval(secs => $1)
              order by worker) as workers
  from workflows w order by name, version, seen_at desc
"""


class PostgresRegistry:
    """Workflows over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def announce(self, worker: str, workflows: Sequence[WorkflowInfo]) -> None:
        """Replace what this worker announced; also its sign of life."""
        async with acquired(self._pool) as connection, connection.transaction():
            await connection.executemany(
                _ANNOUNCE,
                [
                    (
                        w.name,
                        w.version,
                        worker,
                        None if w.input_schema is None else json_text(w.input_schema),
                        w.description,
                        w.load_error,
                        w.max_concurrent,
                        w.tenant_max_runs,
                    )
                    for w in workflows
                ],
            )
            await connection.execute(
                """delete from workflows where worker = $1 and (name, version) not in
                     (select * from unnest($2::text[], $3::text[]))""",
                worker,
                [w.name for w in workflows],
                [w.version for w in workflows],
            )

    async def withdraw(self, worker: str) -> None:
        """Say that this worker is gone: what it announced stays known, without a live worker."""
        async with acquired(self._pool) as connection:
            await connection.execute(
                """update workflows
                      set seen_at = least(seen_at, clock_timestamp() - make_interval(secs => $2))
                    where worker = $1""",
                worker,
                WORKER_SEEN_S,
            )

    async def workflows(self) -> Sequence[WorkflowInfo]:
        """Return every workflow, by name, with the workers seen within WORKER_SEEN_S."""
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(_WORKFLOWS, WORKER_SEEN_S)
        return [
            WorkflowInfo(
                name=row["name"],
                version=row["version"],
                input_schema=json_value(row["input_schema"]),
                description=row["description"],
                load_error=row["load_error"],
                workers=row["workers"],
                max_concurrent=row["max_concurrent"],
                tenant_max_runs=row["tenant_max_runs"],
            )
            for row in rows
        ]
