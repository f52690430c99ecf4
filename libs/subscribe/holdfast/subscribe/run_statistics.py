"""Per tenant and agent: how often it had its turn, how long that took, and how often it ended in an error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from holdfast.events.pool_postgres import Connection, Pool, acquired
from holdfast.subscribe.delivery import Delivery
from holdfast.subscribe.projection import Projection


@dataclass(frozen=True, slots=True)
class AgentStatistics:
    """What is known of one agent; durations are of all turns, also of those that failed."""

    tenant: str
    agent: str
    count: int
    errors: int
    min_ms: int
    avg_ms: float
    max_ms: int


@dataclass(slots=True)
class _Sums:
    count: int = 0
    errors: int = 0
    total_ms: int = 0
    min_ms: int = 2**62
    max_ms: int = 0

    def add(self, duration_ms: int, *, failed: bool) -> None:
        self.count += 1
        self.errors += failed
        self.total_ms += duration_ms
        self.min_ms = min(self.min_ms, duration_ms)
        self.max_ms = max(self.max_ms, duration_ms)


class RunStatistics(Projection):
    """The table `run_statistics`, made from `agent.completed` and `agent.failed`.

    A session that is erased stays counted (nothing in a sum tells of it) until the next rebuild.
    """

    name: ClassVar[str] = "run-statistics"
    types: ClassVar[tuple[str, ...]] = ("agent.completed", "agent.failed")

    async def create(self, connection: Connection) -> None:
        """Make its table, where it is missing."""
        # Asked first: "if not exists" alone needs the right to create, which a role may have lost since.
        if await connection.fetchval("select to_regclass('run_statistics') is null"):
            await connection.execute(
                """create table if not exists run_statistics (
                       tenant text not null, agent text not null, count bigint not null, errors bigint not null,
                       total_ms bigint not null, min_ms bigint not null, max_ms bigint not null,
                       primary key (tenant, agent))"""
            )

    async def clear(self, connection: Connection) -> None:
        """Empty its table."""
        await connection.execute("delete from run_statistics")

    async def apply(self, connection: Connection, events: Sequence[Delivery]) -> None:
        """Add these turns, one row an agent."""
        sums: dict[tuple[str, str], _Sums] = {}
        for event in events:
            agent = (event.tenant, str(event.data["name"]))
            failed = event.type == "agent.failed"
            sums.setdefault(agent, _Sums()).add(int(event.data["duration_ms"]), failed=failed)
        await connection.executemany(
            """insert into run_statistics as s (tenant, agent, count, errors, total_ms, min_ms, max_ms)
               values ($1, $2, $3, $4, $5, $6, $7)
               on conflict (tenant, agent) do update
                  set count = s.count + excluded.count, errors = s.errors + excluded.errors,
                      total_ms = s.total_ms + excluded.total_ms,
                      min_ms = least(s.min_ms, excluded.min_ms), max_ms = greatest(s.max_ms, excluded.max_ms)""",
            [
                (tenant, agent, s.count, s.errors, s.total_ms, s.min_ms, s.max_ms)
                for (tenant, agent), s in sorted(sums.items())
            ],
        )


async def read_statistics(pool: Pool) -> list[AgentStatistics]:
    """Return what the projection holds, by tenant and agent."""
    async with acquired(pool) as connection:
        rows = await connection.fetch(
            """select tenant, agent, count, errors, min_ms, total_ms::float8 / count as avg_ms, max_ms
                 from run_statistics order by tenant, agent"""
        )
    return [AgentStatistics(**row) for row in rows]
