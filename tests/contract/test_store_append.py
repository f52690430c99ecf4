"""The fenced append: what is recorded and what is refused."""

import asyncio
from dataclasses import replace

import pytest

from holdfast.events.catalog import RunCancelled, RunCompleted, RunFailed, StepStarted
from holdfast.events.catalog.base import ErrorInfo
from holdfast.events.commands import CommandState
from holdfast.events.errors import AppendRefused
from holdfast.events.store import (
    CommandDone,
    RunChange,
    RunStatus,
    Store,
)
from tests.factories import (
    TENANT,
    Owner,
    ask_run,
    delta,
    fenced_owner,
    in_run,
    make_row,
    owned_session,
    running,
)


async def bodies(owner: Owner) -> list[bytes]:
    page = await owner.store.reader.read(owner.session, after=0)
    assert [item.seq for item in page.items] == list(range(1, page.head + 1))
    return [item.body for item in page.items]


async def test_events_get_the_seqs_after_the_expected_head(store: Store):
    owner = await owned_session(store)

    batch = await owner.append(delta("a"), in_run(delta("b"), "run_1"))

    page = await store.reader.read(owner.session, after=1)
    assert [(e.seq, e.type, e.run_id) for e in page.items] == [
        (2, "message.delta", None),
        (3, "message.delta", "run_1"),
    ]
    assert [e.body for e in page.items] == [row.body for row in batch.events]
    assert (page.head, (await store.desk.session(TENANT, "s")).head) == (3, 3)


async def test_a_body_comes_back_byte_for_byte(store: Store):
    """Key order, duplicate keys, NUL, long numbers: what JSON columns would change, the log keeps."""
    owner = await owned_session(store)
    body = (
        b'{"v":1,"b":1.0,"a":1e400,"a":2,"t":"\\u0000 \xc3\xbc \\u2028","n":12345678901234567890}'
    )
    row = replace(make_row(delta(), seq=2), body=body)

    await store.writer.append([replace(owner.batch(), events=[row])])

    assert (await bodies(owner))[1] == body


async def test_of_two_appends_at_the_same_seq_one_wins(store: Store):
    owner = await owned_session(store)
    batches = [owner.batch(delta(f"writer {n}")) for n in range(10)]

    answers = await asyncio.gather(*(store.writer.append([batch]) for batch in batches))

    winners = [b for b, a in zip(batches, answers, strict=True) if a == frozenset()]
    assert sorted(map(len, answers)) == [0] + [1] * 9
    assert (await bodies(owner))[1:] == [winners[0].events[0].body]


async def test_an_append_behind_or_beyond_the_head_is_refused(store: Store):
    owner = await owned_session(store)
    await owner.append(delta())
    before = await bodies(owner)

    for head in (0, 1, 3, 99):
        stray = replace(owner, head=head).batch(delta("stray"))
        assert await store.writer.append([stray]) == {owner.session}

    assert await bodies(owner) == before


async def test_a_former_owner_is_refused_while_its_neighbour_in_the_batch_commits(store: Store):
    fenced = await fenced_owner(store, "s1")
    owner = await owned_session(store, "s2")
    run_id = (await ask_run(store, "s2")).run_id
    effects = [RunChange(run_id=run_id, status=RunStatus.RUNNING)]

    refused = await store.writer.append(
        [fenced.batch(delta("zombie")), owner.batch(delta("alive"), effects=effects)]
    )

    assert refused == {fenced.session}
    assert len(await bodies(fenced)) == 1
    assert len(await bodies(owner)) == 2
    assert (await store.desk.run(TENANT, run_id)).status is RunStatus.RUNNING


async def test_a_refused_session_keeps_its_rows_as_they_are(store: Store):
    """Whatever a zombie's events would have changed is as untouched as the log."""
    fenced = await fenced_owner(store, "s")
    [run] = await store.claims.open_runs(fenced.session)
    [command] = await fenced.pending()
    effects = [
        RunChange(run_id=run.run_id, status=RunStatus.FAILED),
        CommandDone(command.command_id, CommandState.REJECTED),
    ]

    refused = await store.writer.append([fenced.batch(delta(), effects=effects)])

    assert refused == {fenced.session}
    assert await store.claims.open_runs(fenced.session) == [run]
    assert await fenced.pending() == [command]


async def test_a_session_that_is_not_there_refuses(store: Store):
    owner = await owned_session(store)
    stray = replace(owner.batch(delta()), session=owner.session + 1000)

    assert await store.writer.append([stray, owner.batch(delta())]) == {stray.session}

    assert len(await bodies(owner)) == 2


async def test_an_append_of_nothing_refuses_nobody(store: Store):
    assert await store.writer.append([]) == frozenset()


FAILED = RunFailed(error=ErrorInfo(code="boom", message="It broke."), duration_ms=1)
RULES = {
    "one_key": (
        in_run(StepStarted(name="a"), "run_1", key="a#0"),
        in_run(StepStarted(name="b"), "run_1", key="a#0"),
    ),
    "one_terminal": (
        in_run(RunCompleted(duration_ms=1), "run_1"),
        in_run(FAILED, "run_1"),
    ),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "in two"])
async def test_a_row_that_breaks_a_rule_leaves_nothing_recorded_in_any_batch(
    store: Store, rule: str, at_once: bool
):
    owner = await owned_session(store, "s1")
    neighbour = await owned_session(store, "s2")
    first, second = RULES[rule]
    if at_once:
        poisoned = owner.batch(delta(), first, second)
    else:
        await owner.append(first)
        poisoned = owner.batch(delta(), second)
    before = await bodies(owner)

    with pytest.raises(AppendRefused) as refused:
        await store.writer.append([neighbour.batch(delta()), poisoned])

    assert refused.value.rule == rule
    assert await bodies(owner) == before
    assert len(await bodies(neighbour)) == 1
    # Neither has moved: the good row goes alone, from the same head.
    await neighbour.append(delta())
    await owner.append(delta())


async def test_a_refused_row_changes_nothing_beside_the_log_either(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    await owner.append(in_run(delta(), run_id, key="a#0"))
    done = RunChange(run_id=run_id, status=RunStatus.COMPLETED)
    batch = owner.batch(in_run(delta(), run_id, key="a#0"), effects=[done])

    with pytest.raises(AppendRefused):
        await store.writer.append([batch])

    assert (await store.desk.run(TENANT, run_id)).status is RunStatus.RUNNING


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["NUL", "lone surrogate"])
async def test_a_row_that_cannot_be_held_is_refused_and_not_tried_for_ever(store: Store, text: str):
    """Not StoreUnavailable: the same bytes would be sent again and again, and everybody's with them."""
    owner = await owned_session(store)
    row = replace(make_row(delta(), seq=2), key=text, run_id="run_1")

    with pytest.raises(AppendRefused):
        await store.writer.append([replace(owner.batch(), events=[row])])

    assert len(await bodies(owner)) == 1


async def test_a_run_ends_once_whatever_its_end_is_called(store: Store):
    ends = [RunCompleted(duration_ms=1), FAILED, RunCancelled(duration_ms=1)]
    owner = await owned_session(store)
    for n, end in enumerate(ends):
        await owner.append(in_run(end, f"run_{n}"))
        for other in ends:
            with pytest.raises(AppendRefused):
                await store.writer.append([owner.batch(in_run(other, f"run_{n}"))])

    assert len(await bodies(owner)) == 1 + len(ends)


async def test_keys_are_a_runs_own(store: Store):
    owner = await owned_session(store)

    await owner.append(in_run(delta(), "run_1", key="a#0"), in_run(delta(), "run_2", key="a#0"))
    await owner.append(in_run(delta(), "run_1"), in_run(delta(), "run_1"))

    assert len(await bodies(owner)) == 5


async def test_a_refused_sessions_rows_break_no_rule(store: Store):
    """A zombie that repeats what the new owner recorded must not cost its neighbours their batch."""
    owner = await owned_session(store, "s1")
    neighbour = await owned_session(store, "s2")
    zombie = replace(owner).batch(in_run(delta(), "run_1", key="a#0"))
    await owner.append(in_run(delta(), "run_1", key="a#0"))

    refused = await store.writer.append([zombie, neighbour.batch(delta())])

    assert refused == {owner.session}
    assert len(await bodies(neighbour)) == 2


async def test_many_sessions_append_at_once_each_in_its_own_order(store: Store):
    """Batches over the same sessions in different orders neither block each other nor mix."""
    owners = [await owned_session(store, f"s{n}") for n in range(6)]

    async def write(name: str, order: list[Owner]) -> None:
        wins = 0
        while wins < 5:
            current = []
            for owner in order:
                head = (await store.reader.read(owner.session, after=0, limit=1)).head
                current.append(replace(owner, head=head).batch(delta(name)))
            wins += len(order) - len(await store.writer.append(current))

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for n in range(4):
            group.create_task(write(f"w{n}", owners[:: 1 if n % 2 else -1]))

    for owner in owners:
        await bodies(owner)


async def test_an_owner_learns_its_last_timestamp_with_its_claim(store: Store):
    """Timestamps never go back, also across owners: the new one begins where the log ends."""
    owner = await owned_session(store)
    batch = await owner.append(in_run(delta(), "run_1"))
    await owner.release()
    await ask_run(store)

    [claim] = await store.claims.claim("w2", workflows=["team"], lease_s=30, limit=10)

    assert claim.last_ts == batch.events[-1].ts
    assert claim.head == owner.head
