"""A log that came out of a dump: its events carry transactions of another database."""

from pathlib import Path

import pytest

from holdfast.subscribe.store import LogAhead
from tests.subscribe.test_consumer import passes_until, running
from tests.subscribe.worlds import PostgresWorld, Seen

pytestmark = pytest.mark.postgres

DOCS = Path(__file__).parents[2] / "docs" / "subscriptions.md"
RESTORED = """update events
   set tx = ((pg_snapshot_xmax(pg_current_snapshot())::text::bigint) + 1000000)::text::xid8"""


async def test_a_restored_log_is_not_taken_for_an_empty_one(postgres_world: PostgresWorld) -> None:
    world, seen = postgres_world, Seen()
    await world.session("a", 3)
    await world.pool.execute(RESTORED)

    with pytest.raises(LogAhead):
        await world.read()
    async with running(world.consumer(seen.subscription())):
        await passes_until(world, lambda: _says(world, "restored from a dump"))

    assert seen.events == []


async def test_what_the_docs_tell_to_do_makes_a_restored_log_readable(
    postgres_world: PostgresWorld,
) -> None:
    world, seen = postgres_world, Seen()
    one, two = await world.session("a", 3), await world.session("b", 2)
    await world.pool.execute(RESTORED)

    await world.pool.execute(DOCS.read_text().split("```sql\n")[1].split("```")[0])
    async with running(world.consumer(seen.subscription())):
        await passes_until(world, lambda: len(seen.events) == 7)

    assert (seen.seqs(one.session), seen.seqs(two.session)) == ([1, 2, 3, 4], [1, 2, 3])


async def _says(world: PostgresWorld, words: str) -> bool:
    return any(words in (info.error or "") for info in await world.subscriptions.all())
