"""What no publisher writes, found where a window should be: one session's trouble and nobody else's."""

import pytest

from holdfast.events.stream_redis import READ_WINDOWS_MAX
from tests.contract.stream_rigs import RedisRig, events, seqs

pytest_plugins = ["tests.contract.stream_fixtures"]

pytestmark = [pytest.mark.anyio, pytest.mark.redis]


@pytest.mark.parametrize(
    "entry",
    [
        ("1-0", "not", "ours"),
        ("1-7", "t", "a.b", "r", "run-1", "b", "{}"),
        ("1-0", "t", b"\xff", "r", "run-1", "b", "{}"),
    ],
)
async def test_a_window_with_a_strange_entry_counts_as_empty_and_harms_no_other(
    redis_rig: RedisRig, session: int, entry: tuple[str | bytes, ...]
):
    """Up to a thousand sessions are read in one call; theirs must not be lost with it."""
    healthy = session + 1_000_000
    await redis_rig.stream.publish(healthy, events(1, 3))
    await redis_rig.do("XADD", redis_rig.key(session), *entry)

    read = await redis_rig.stream.read({session: 0, healthy: 1}, limit=10)

    assert {s: [event.seq for event in found] for s, found in read.items()} == {
        session: [],
        healthy: [2, 3],
    }


async def test_a_reader_beyond_a_strange_entry_reads_on(redis_rig: RedisRig, session: int):
    """Its feed was filled from the store; the window serves it again."""
    await redis_rig.do("XADD", redis_rig.key(session), "1-0", "not", "ours")
    await redis_rig.stream.publish(session, events(2, 3))

    assert await seqs(redis_rig.stream, session) == []
    assert await seqs(redis_rig.stream, session, after=1) == [2, 3]


async def test_keys_that_are_no_streams_are_found_and_left_out(redis_rig: RedisRig, session: int):
    sessions = range(session, session + READ_WINDOWS_MAX)
    strange = {sessions[0], sessions[417], sessions[-1]}
    for one in strange:
        await redis_rig.do("SET", redis_rig.key(one), "something else")
    for one in (sessions[1], sessions[418]):
        await redis_rig.stream.publish(one, events(1, 2))
    await redis_rig.do("CONFIG", "RESETSTAT")

    read = await redis_rig.stream.read(dict.fromkeys(sessions, 0), limit=10)

    found = {s: [event.seq for event in entries] for s, entries in read.items() if entries}
    assert found == {sessions[1]: [1, 2], sessions[418]: [1, 2]}
    assert read.keys() == set(sessions)
    stats = await redis_rig.do("INFO", "commandstats")
    assert stats["cmdstat_xread"]["calls"] <= 1 + 2 * 10 * len(strange)


async def test_a_lone_key_that_is_no_stream_is_an_empty_window(redis_rig: RedisRig, session: int):
    await redis_rig.do("SET", redis_rig.key(session), "something else")

    assert await seqs(redis_rig.stream, session) == []
