"""Pages as lines: what `read` tells of the same events, or nothing."""

import random
from collections.abc import Sequence
from dataclasses import replace

import asyncpg
import pytest

from holdfast.events.catalog import SessionExpired, StageChanged
from holdfast.events.read import lines_of
from holdfast.events.store import (
    LINE_BYTES_MAX,
    PAGE_BYTES_MAX,
    PAGE_EVENTS_MAX,
    Lines,
    Store,
    Stretch,
)
from tests.factories import Owner, delta, make_row, owned_session

LAST = ("session.expired", "session.erased")


async def lines(
    store: Store, owner: Owner, *, after: int = 0, limit: int = PAGE_EVENTS_MAX
) -> Lines | None:
    """The lines of a page, which must be those of the page that `read` returns."""
    stretch = Stretch(owner.session, after, limit)
    found = (await store.reader.lines([stretch], without=LAST)).get(stretch)
    page = await store.reader.read(owner.session, after=after, limit=limit)
    if found is not None:
        found = replace(found, bodies=[*found.bodies])
        assert [*found.bodies] == [item.body for item in page.items]
    assert found == lines_of(page, LAST)
    return found


async def append_bodies(owner: Owner, bodies: Sequence[bytes]) -> None:
    """Record events with these bodies."""
    events = [
        replace(make_row(delta(), seq=seq), body=body)
        for seq, body in enumerate(bodies, owner.head + 1)
    ]
    assert await owner.store.writer.append([replace(owner.batch(), events=events)]) == frozenset()
    owner.head += len(events)


async def test_lines_are_the_bodies_of_a_page_and_account_as_it_does(store: Store):
    owner = await owned_session(store)
    await owner.append(*[delta() for _ in range(8)])
    chance = random.Random(9)
    pages = [(0, 500), (8, 500), (9, 500), (12, 500), (0, 9), (0, 4), (5, 1)]
    pages += [(chance.randrange(11), chance.randint(1, 10)) for _ in range(20)]

    for after, limit in pages:
        assert await lines(store, owner, after=after, limit=limit) is not None, (after, limit)


async def test_a_session_that_nobody_knows_has_no_lines(store: Store):
    owner = await owned_session(store)
    known = Stretch(owner.session, 0)

    found = await store.reader.lines([Stretch(4711, 3), known], without=LAST)

    assert [*found] == [known]
    assert await store.reader.lines([], without=LAST) == {}


async def test_many_pages_are_one_question(store: Store):
    owners = [await owned_session(store, f"s{n}") for n in range(3)]
    for owner in owners:
        await owner.append(*[delta(f"{owner.session_id} {n}") for n in range(5)])
    asked = [Stretch(owner.session, after, 2) for owner in owners for after in (3, 0)]

    found = await store.reader.lines(asked, without=LAST)

    for session, after, limit in asked:
        page = await store.reader.read(session, after=after, limit=limit)
        lines = found[Stretch(session, after, limit)]
        assert replace(lines, bodies=[*lines.bodies]) == lines_of(page, LAST)


async def test_a_page_with_an_event_of_a_type_that_must_not_be_in_it_is_not_told_as_lines(
    store: Store,
):
    owner = await owned_session(store)
    await owner.append(delta(), StageChanged(to="one"), delta(), SessionExpired())

    async def told(after: int, limit: int, *without: str) -> bool:
        return bool(
            await store.reader.lines([Stretch(owner.session, after, limit)], without=without)
        )

    assert await told(0, 4)
    assert await told(0, 4, "session.expired")
    assert not await told(0, 4, "session.expired", "stage.changed")
    assert not await told(0, 5, "session.expired")
    assert not await told(4, 1, "session.expired")
    assert await told(5, 1, "session.expired")


async def test_a_large_body_is_not_told_as_a_line(store: Store):
    owner = await owned_session(store)
    await append_bodies(owner, [b"x" * LINE_BYTES_MAX, b"y" * (LINE_BYTES_MAX + 1)])

    assert await lines(store, owner, limit=2) is not None
    assert await lines(store, owner) is None


async def test_a_page_that_ends_by_its_bytes_is_not_told_as_lines(store: Store):
    owner = await owned_session(store)
    fit = PAGE_BYTES_MAX // LINE_BYTES_MAX
    await append_bodies(owner, [b"x" * LINE_BYTES_MAX] * (fit + 1))

    assert await lines(store, owner, after=1, limit=fit - 1) is not None
    assert await lines(store, owner, after=1, limit=fit) is None
    assert await lines(store, owner, after=1) is None


@pytest.mark.parametrize("end", [b"\n", b"\r"])
async def test_a_body_of_more_than_one_line_is_not_told_as_lines(store: Store, end: bytes):
    owner = await owned_session(store)
    await append_bodies(owner, [b"one", b"", b"two" + end])

    assert await lines(store, owner, limit=3) is not None
    assert await lines(store, owner) is None


async def test_a_line_break_does_not_make_up_for_a_line_that_is_too_large(store: Store):
    owner = await owned_session(store)
    await append_bodies(owner, [b"one\ntwo", b"y" * (LINE_BYTES_MAX + 1)])

    assert await lines(store, owner) is None


@pytest.mark.postgres
async def test_a_page_in_which_a_seq_is_missing_is_not_told_as_lines(
    postgres_store: Store, database_url: str
):
    """Memory keeps no such session: there what is gone was at the beginning."""
    owner = await owned_session(postgres_store)
    await owner.append(*[delta() for _ in range(5)])
    connection = await asyncpg.connect(database_url)
    try:
        remove = "delete from events where session = $1 and seq = any($2)"
        await connection.execute(remove, owner.session, [1, 4])
        await connection.execute("update sessions set min_seq = 2 where id = $1", owner.session)
    finally:
        await connection.close()

    assert await lines(postgres_store, owner, limit=2) is not None
    assert await lines(postgres_store, owner, after=4) is not None
    assert await lines(postgres_store, owner, after=3) is not None
    assert await lines(postgres_store, owner) is None
