"""Pages of the log, and how far each accounts for it."""

from dataclasses import replace

from holdfast.events.catalog import RunCompleted, StageChanged, ToolCompleted, ToolStarted
from holdfast.events.kinds import TypeFilter
from holdfast.events.store import PAGE_BYTES_MAX, PAGE_EVENTS_MAX, Page, Store
from tests.factories import Owner, delta, in_run, make_row, owned_session, running


def seqs(page: Page) -> list[int]:
    return [item.seq for item in page.items]


async def filled(store: Store, events: int) -> Owner:
    """A session with this many events."""
    owner = await owned_session(store)
    await owner.append(*[delta() for _ in range(events - 1)])
    return owner


async def read_all(store: Store, session: int, **how: object) -> list[list[int]]:
    """Page after page until `through` has reached the head, as every reader does."""
    pages: list[list[int]] = []
    after = 0
    while True:
        page = await store.reader.read(session, after=after, **how)  # type: ignore[arg-type]
        pages.append(seqs(page))
        if page.through >= page.head:
            return pages
        assert page.through > after
        after = page.through


async def test_a_page_begins_after_its_cursor(store: Store):
    owner = await filled(store, 5)

    page = await store.reader.read(owner.session, after=2)

    assert seqs(page) == [3, 4, 5]
    assert (page.through, page.head, page.min_seq) == (5, 5, 1)


async def test_a_page_at_the_head_is_empty_and_complete(store: Store):
    owner = await filled(store, 3)

    page = await store.reader.read(owner.session, after=3)

    assert (seqs(page), page.through, page.head) == ([], 3, 3)


async def test_a_cursor_beyond_the_head_shows_itself(store: Store):
    """`through` never goes back behind the reader; the head tells it that it is ahead of the log."""
    owner = await filled(store, 3)

    page = await store.reader.read(owner.session, after=9)

    assert (seqs(page), page.through, page.head) == ([], 9, 3)


async def test_a_session_without_events_has_a_page_too(store: Store):
    info = await store.desk.create_session("acme", "s")

    page = await store.reader.read(info.session, after=0)

    assert (seqs(page), page.through, page.head, page.min_seq) == ([], 0, 0, 1)


async def test_a_session_that_is_not_there_has_nothing(store: Store):
    page = await store.reader.read(4711, after=0)

    assert (seqs(page), page.head) == ([], 0)


async def test_a_page_ends_at_its_limit(store: Store):
    owner = await filled(store, 5)

    page = await store.reader.read(owner.session, after=1, limit=2)

    assert (seqs(page), page.through, page.head) == ([2, 3], 3, 5)
    assert await read_all(store, owner.session, limit=2) == [[1, 2], [3, 4], [5]]


async def test_a_page_is_never_longer_than_a_round_trip_may_carry(store: Store):
    owner = await filled(store, PAGE_EVENTS_MAX + 3)

    pages = await read_all(store, owner.session)

    assert [len(page) for page in pages] == [PAGE_EVENTS_MAX, 3]


async def test_a_page_ends_when_its_bodies_are_a_mebibyte(store: Store):
    """The event that reaches the bound is still in: an event larger than a page could never be read."""
    owner = await owned_session(store)
    large = [
        replace(make_row(delta(), seq=seq), body=b"x" * (PAGE_BYTES_MAX // 4))
        for seq in range(2, 12)
    ]
    await store.writer.append([replace(owner.batch(), events=large)])

    page = await store.reader.read(owner.session, after=1)

    assert (seqs(page), page.through, page.head) == ([2, 3, 4, 5], 5, 11)
    pages = await read_all(store, owner.session)
    assert [seq for page in pages for seq in page] == list(range(1, 12))


async def test_a_page_stops_at_until(store: Store):
    owner = await filled(store, 5)

    page = await store.reader.read(owner.session, after=1, until=3)

    assert (seqs(page), page.through, page.head) == ([2, 3], 3, 5)


async def test_until_beyond_the_head_promises_nothing(store: Store):
    """What doesn't exist yet is not accounted for: it may still come."""
    owner = await filled(store, 2)

    page = await store.reader.read(owner.session, after=0, until=99)

    assert (seqs(page), page.through) == ([1, 2], 2)


# --- filters ----------------------------------------------------------------------------------------


async def mixed(store: Store) -> Owner:
    """1 created, 2 delta, 3 tool, 4 delta, 5 tool, 6 stage, 7 delta."""
    owner = await owned_session(store)
    await owner.append(
        delta(),
        ToolStarted(call_id="c", name="n"),
        delta(),
        ToolCompleted(call_id="c", name="n", duration_ms=1),
        StageChanged(to="done"),
        delta(),
    )
    return owner


async def test_a_page_holds_the_types_that_are_wanted_and_accounts_for_the_others(store: Store):
    owner = await mixed(store)

    tools = await store.reader.read(owner.session, after=0, types=TypeFilter(["tool.*"]))
    both = await store.reader.read(
        owner.session, after=2, types=TypeFilter(["stage.changed", "tool.completed", "no.such"])
    )

    assert (seqs(tools), tools.through, tools.head) == ([3, 5], 7, 7)
    assert (seqs(both), both.through) == ([5, 6], 7)


async def test_a_page_of_which_nothing_is_wanted_still_moves_the_reader_on(store: Store):
    owner = await mixed(store)

    page = await store.reader.read(owner.session, after=0, types=TypeFilter(["llm.*"]))

    assert (seqs(page), page.through) == ([], 7)


async def test_a_filter_of_nothing_lets_everything_through(store: Store):
    owner = await mixed(store)

    page = await store.reader.read(owner.session, after=0, types=TypeFilter())

    assert seqs(page) == list(range(1, 8))


async def test_a_filtered_page_that_is_full_accounts_only_as_far_as_it_looked(store: Store):
    """Else what is wanted beyond the limit would be skipped for ever."""
    owner = await mixed(store)

    page = await store.reader.read(owner.session, after=0, limit=2, types=TypeFilter(["message.*"]))

    assert seqs(page) == [2, 4]
    assert 4 <= page.through < 7
    pages = await read_all(store, owner.session, limit=2, types=TypeFilter(["message.*"]))
    assert [seq for page in pages for seq in page] == [2, 4, 7]


async def test_a_filtered_page_stops_at_until(store: Store):
    owner = await mixed(store)

    page = await store.reader.read(owner.session, after=0, until=4, types=TypeFilter(["tool.*"]))

    assert (seqs(page), page.through, page.head) == ([3], 4, 7)


async def test_a_page_of_runs_holds_only_their_events(store: Store):
    owner = await owned_session(store)
    await owner.append(
        in_run(delta(), "run_1"),
        in_run(delta(), "run_2"),
        delta(),
        in_run(StageChanged(to="x"), "run_1"),
        in_run(RunCompleted(duration_ms=1), "run_1"),
        in_run(delta(), "run_3"),
    )
    ones = frozenset({"run_1"})

    one = await store.reader.read(owner.session, after=0, run_ids=ones)
    two = await store.reader.read(owner.session, after=2, run_ids=frozenset({"run_1", "run_2"}))
    stages = await store.reader.read(
        owner.session, after=0, run_ids=ones, types=TypeFilter(["stage.*"])
    )
    none = await store.reader.read(owner.session, after=0, run_ids=frozenset())

    assert (seqs(one), one.through) == ([2, 5, 6], 7)
    assert (seqs(two), two.through) == ([3, 5, 6], 7)
    assert (seqs(stages), stages.through) == ([5], 7)
    assert (seqs(none), none.through) == ([], 7)


async def test_the_family_of_a_run_begins_with_itself(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    await running(await owned_session(store, "other"))

    assert await store.reader.run_family(run_id) == {run_id}
    assert await store.reader.run_family("run_0") <= {"run_0"}
