"""What only a real Redis can do to the stream: hang, forget scripts, refuse, hold strange things."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from holdfast.events.errors import StreamUnavailable
from holdfast.events.stream import News, Published, Wake
from holdfast.events.stream_redis import READ_WINDOWS_MAX, RedisStream
from holdfast.events.stream_redis_health import check_eviction, redis_health
from holdfast.events.stream_redis_link import stream_errors
from tests.contract.stream_rigs import (
    QUICK,
    Listener,
    RedisRig,
    carrying,
    events,
    seqs,
    until,
)

pytest_plugins = ["tests.contract.stream_fixtures"]

pytestmark = [pytest.mark.anyio, pytest.mark.redis]


async def test_an_entry_is_what_the_design_says(redis_rig: RedisRig, session: int):
    await redis_rig.stream.publish(session, events(1, 1))

    [[id_, fields]] = await redis_rig.do("XRANGE", redis_rig.key(session), "-", "+")
    assert id_ == b"1-0"
    assert list(fields) == [b"t", b"r", b"b"]
    assert fields[b"t"] == b"message.delta"
    assert fields[b"r"] == b"run-1"


async def test_a_redis_that_forgot_the_scripts_gets_them_again(redis_rig: RedisRig, session: int):
    await redis_rig.stream.publish(session, events(1, 1))
    await redis_rig.do("SCRIPT", "FLUSH")

    assert await redis_rig.stream.publish(session, events(2, 2)) is Published.OK
    assert await redis_rig.stream.rebase(session, events(4, 5)) is Published.OK


async def test_a_publish_whose_reply_was_lost_may_be_repeated(redis_rig: RedisRig, session: int):
    """Redis hangs, the call gives up, Redis carries it out after all: once is once."""
    await redis_rig.stream.publish(session, events(1, 1))
    redis_rig.pause()
    try:
        with pytest.raises(StreamUnavailable):
            await redis_rig.stream.publish(session, events(2, 4))
    finally:
        redis_rig.resume()

    async def carried_out() -> bool:
        return await redis_rig.do("XLEN", redis_rig.key(session)) == 4

    await until(carried_out)
    assert await redis_rig.stream.publish(session, events(2, 4)) is Published.DUP
    assert await seqs(redis_rig.stream, session) == [1, 2, 3, 4]


async def test_the_driver_repeats_nothing_by_itself(redis_rig: RedisRig, session: int):
    redis_rig.pause()
    began = asyncio.get_running_loop().time()
    try:
        with pytest.raises(StreamUnavailable):
            await redis_rig.stream.read({session: 0}, limit=1)
    finally:
        redis_rig.resume()

    took = asyncio.get_running_loop().time() - began
    assert took < 2 * QUICK.answer_s


async def test_a_redis_that_hangs_is_noticed_by_its_silence(redis_rig: RedisRig, session: int):
    """Nothing closes the connection: only a missing answer to a ping tells."""
    wakes = redis_rig.stream.wakes()
    listener = Listener(wakes)
    await wakes.watch(session)
    redis_rig.pause()
    try:
        await until(lambda: not wakes.connected)
    finally:
        redis_rig.resume()

    assert await listener.next() == Wake(None)
    await redis_rig.stream.publish(session, events(1, 1))
    assert await listener.next() == carrying(session, events(1, 1))


async def test_a_quiet_connection_is_kept(redis_rig: RedisRig, session: int):
    wakes = redis_rig.stream.wakes()
    await wakes.watch(session)
    [before] = await _wake_clients(redis_rig)

    await asyncio.sleep(3 * QUICK.silence_s)  # pings must carry it over three deadlines

    assert await _wake_clients(redis_rig) == [before]
    assert wakes.connected


async def _wake_clients(rig: RedisRig) -> list[bytes]:
    clients = (await rig.do("CLIENT", "LIST", "TYPE", "pubsub")).splitlines()
    return [line.split()[0] for line in clients if b"name=holdfast-wakes" in line]


async def test_ten_thousand_sessions_are_watched_over_one_connection_and_again(
    redis_rig: RedisRig, session: int
):
    count = 10_000
    wakes = redis_rig.stream.wakes()
    listener = Listener(wakes)
    async with asyncio.TaskGroup() as watching:
        for number in range(count):
            watching.create_task(wakes.watch(session + number))
    assert len(await _wake_clients(redis_rig)) == 1
    await redis_rig.break_connections()

    assert await listener.next() == Wake(None)

    pattern = f"hf:{redis_rig.log_id[:8]}:*"
    assert len(await redis_rig.do("PUBSUB", "CHANNELS", pattern)) == count
    assert len(await _wake_clients(redis_rig)) == 1
    for last in (session, session + count - 1):
        await redis_rig.stream.publish(last, events(1, 1))
        assert await listener.next() == carrying(last, events(1, 1))


async def test_a_thousand_publishes_at_once_need_few_connections(redis_rig: RedisRig, session: int):
    sessions = range(session, session + 1_000)

    outcomes = await asyncio.gather(
        *(redis_rig.stream.publish(one, events(1, 3)) for one in sessions)
    )

    assert set(outcomes) == {Published.OK}
    assert await redis_rig.clients("holdfast") == 0
    assert await redis_rig.clients("holdfast-publish") == 1


async def test_one_bad_window_does_not_harm_those_published_with_it(
    redis_rig: RedisRig, session: int
):
    bad, good = session, session + 1_000_000
    await redis_rig.do("SET", redis_rig.key(bad), "no stream")

    outcomes = await asyncio.gather(
        *(redis_rig.stream.publish(one, events(1, 1)) for one in (bad, good)),
        return_exceptions=True,
    )

    assert isinstance(outcomes[0], StreamUnavailable)
    assert outcomes[0].__cause__ is not None
    assert outcomes[1] is Published.OK


async def test_a_session_with_much_to_say_holds_up_none_that_is_published_with_it(
    redis_rig: RedisRig, session: int, monkeypatch: pytest.MonkeyPatch
):
    stream, released = redis_rig.stream, asyncio.Event()
    publish = stream.publish

    async def held(*given: Any, **more: Any) -> Published:
        await released.wait()
        return await publish(*given, **more)

    monkeypatch.setattr(stream, "publish", held)  # what takes several calls goes by it
    much = News(session, events(1, 3, size=300 * 1024), at_rest=False)
    little = News(session + 1, events(1, 1), at_rest=False)

    both = asyncio.create_task(stream.publish_all([much, little]))

    async def published() -> bool:
        return await redis_rig.do("XLEN", redis_rig.key(session + 1)) == 1

    await until(published)
    assert not both.done()
    released.set()
    assert await both == [Published.OK, Published.OK]


async def test_a_publish_that_was_given_up_harms_no_other(redis_rig: RedisRig, session: int):
    given_up = asyncio.create_task(redis_rig.stream.publish(session, events(1, 1)))
    kept = asyncio.create_task(redis_rig.stream.publish(session + 1_000_000, events(1, 1)))
    await asyncio.sleep(0)
    given_up.cancel()

    assert await kept is Published.OK
    assert await redis_rig.stream.publish(session, events(1, 2)) is Published.OK


async def test_more_windows_than_one_read_takes_are_read_in_turns(
    redis_rig: RedisRig, session: int
):
    sessions = range(session, session + READ_WINDOWS_MAX + 5)
    await asyncio.gather(*(redis_rig.stream.publish(one, events(1, 2)) for one in sessions))

    await redis_rig.do("CONFIG", "RESETSTAT")

    read = await redis_rig.stream.read(dict.fromkeys(sessions, 1), limit=10)

    stats = await redis_rig.do("INFO", "commandstats")
    assert stats["cmdstat_xread"]["calls"] == 2
    assert [[event.seq for event in read[one]] for one in sessions] == [[2]] * len(sessions)


async def test_entries_deleted_by_hand_are_a_gap_and_a_rebase_heals_it(
    redis_rig: RedisRig, session: int
):
    """Redis takes no id twice: after XDEL of the newest, the stream can't be continued."""
    await redis_rig.stream.publish(session, events(1, 5))
    await redis_rig.do("XDEL", redis_rig.key(session), "4-0", "5-0")

    assert await redis_rig.stream.publish(session, events(4, 6)) is Published.GAP
    assert await redis_rig.stream.rebase(session, events(2, 6)) is Published.OK

    assert await seqs(redis_rig.stream, session) == [2, 3, 4, 5, 6]


async def test_fields_that_a_newer_version_adds_are_passed_over(redis_rig: RedisRig, session: int):
    [event] = events(1, 1)
    await redis_rig.do(
        *("XADD", redis_rig.key(session), "1-0"),
        *("t", event.type, "r", "run-1", "b", event.body, "new", "thing"),
    )

    assert (await redis_rig.stream.read({session: 0}, limit=1))[session] == [event]


async def test_seqs_beyond_a_million_billions_keep_every_digit(redis_rig: RedisRig, session: int):
    """Lua has doubles and writes them as 1e+15 unless told otherwise."""
    first = 10**15 + 7

    await redis_rig.stream.rebase(session, events(first, first + 1))
    await redis_rig.stream.publish(session, events(first + 2, first + 2))

    assert await seqs(redis_rig.stream, session) == [first, first + 1, first + 2]


async def test_logs_that_share_a_redis_do_not_see_each_other(redis_rig: RedisRig, session: int):
    other = RedisStream.open(redis_rig.server.url, log_id="another-log")
    try:
        await redis_rig.stream.publish(session, events(1, 1))

        assert await seqs(other, session) == []
    finally:
        await other.close()


async def test_closing_leaves_no_connection(redis_rig: RedisRig, session: int):
    wakes = redis_rig.stream.wakes()
    await wakes.watch(session)
    await redis_rig.stream.publish(session, events(1, 1))
    await redis_rig.stream.read({session: 0}, limit=1)
    names = ("holdfast", "holdfast-publish", "holdfast-wakes")
    assert [await redis_rig.clients(name) for name in names] == [1, 1, 1]
    assert redis_rig.stream.connections == 3

    await redis_rig.stream.close()

    async def all_gone() -> bool:
        return sum([await redis_rig.clients(name) for name in names]) == 0

    await until(all_gone)


async def test_health_tells_what_an_operator_asks(redis_rig: RedisRig):
    health = await redis_health(redis_rig.server.url)

    assert health.version == f"redis {redis_rig.server.version}"
    assert health.durable
    assert health.details["maxmemory_policy"] == "noeviction"
    assert health.details["appendfsync"] == "everysec"
    assert check_eviction(health) is None


async def test_a_redis_that_evicts_is_warned_of(redis_rig: RedisRig):
    await redis_rig.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        warning = check_eviction(await redis_health(redis_rig.server.url))
    finally:
        await redis_rig.do("CONFIG", "SET", "maxmemory-policy", "noeviction")

    assert warning is not None
    assert "allkeys-lru" in warning


async def test_health_does_without_what_it_may_not_ask(redis_rig: RedisRig):
    await redis_rig.do("ACL", "SETUSER", "guest", "on", ">secret", "~*", "&*", "+@all", "-config")
    url = redis_rig.server.url.replace("redis://", "redis://guest:secret@")

    health = await redis_health(url)

    assert health.details["maxmemory_policy"] == "noeviction"
    assert "appendfsync" not in health.details


async def test_health_of_a_redis_that_is_away_is_an_error(redis_rig: RedisRig):
    await redis_rig.go_down()

    with pytest.raises(StreamUnavailable):
        await redis_health(redis_rig.server.url)


async def test_options_of_a_url_do_not_bring_back_what_is_switched_off(
    redis_rig: RedisRig, session: int
):
    url = f"{redis_rig.server.url}?protocol=3&decode_responses=true&retry_on_timeout=true"
    stream = RedisStream.open(url, log_id=redis_rig.log_id)
    try:
        await stream.publish(session, events(1, 1))
        assert await seqs(stream, session) == [1]
    finally:
        await stream.close()


async def test_a_cancel_that_the_driver_swallows_ends_the_task_all_the_same():
    """Python 3.11's wait_for loses one that comes as it ends; a tail would then run for ever."""

    async def call() -> None:
        with stream_errors():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            raise OSError("whatever it does then")

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_url_that_names_no_redis_is_refused():
    with pytest.raises(ValueError, match="redis://"):
        RedisStream.open("http://localhost", log_id="log")
