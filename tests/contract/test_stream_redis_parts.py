"""The parts of the Redis stream against stand-ins, for moments that no real server can be held in."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from holdfast.events.clock_manual import ManualClock
from holdfast.events.errors import StreamUnavailable
from holdfast.events.stream_redis_ear import SUBSCRIBE_CHANNELS_MAX, Ear
from holdfast.events.stream_redis_link import PATIENCE
from holdfast.events.stream_redis_scripts import (
    TRIP_BYTES_MAX,
    TRIP_CALLS_MAX,
    Call,
    Caller,
    Script,
)
from tests.contract.stream_rigs import DEADLINE_S, until

pytestmark = pytest.mark.anyio


class Line:
    """A pub/sub connection whose other end is the test."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.is_connected = False

    async def connect(self) -> None:
        self.is_connected = True

    async def disconnect(self) -> None:
        self.is_connected = False

    async def send_command(self, *command: Any, **_options: Any) -> None:
        self.sent.append(command)

    async def read_response(self, **_options: Any) -> Any:
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
async def ear(line: Line) -> AsyncIterator[Ear]:
    """Running, over the line; time stands still, so that it never tries twice."""
    ear = Ear(
        lambda: line,  # pyright: ignore[reportArgumentType, reportUnknownLambdaType]
        on_messages=lambda _messages: None,
        on_back=lambda: None,
        patience=PATIENCE,
        clock=ManualClock(),
        chance=random.Random(1),
    )
    running = asyncio.create_task(ear.run())
    yield ear
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_of_subscribe_unsubscribe_subscribe_the_third_answer_counts(line: Line, ear: Ear):
    """The first one tells of a subscription that the second command has ended by then."""
    first = asyncio.create_task(ear.want(b"c"))
    await until(lambda: line.sent == [("SUBSCRIBE", b"c")])
    ear.forget(b"c")
    await until(lambda: line.sent[1:] == [("UNSUBSCRIBE", b"c")])
    second = asyncio.create_task(ear.want(b"c"))
    await until(lambda: line.sent[2:] == [("SUBSCRIBE", b"c")])
    await first

    for kind in (b"subscribe", b"unsubscribe"):
        line.answers.put_nowait([kind, b"c", 0])
    await until(line.answers.empty)
    await asyncio.sleep(0)
    assert not second.done()

    line.answers.put_nowait([b"subscribe", b"c", 1])
    async with asyncio.timeout(DEADLINE_S):
        await second


async def test_while_redis_is_away_nobody_waits_for_the_next_try(line: Line, ear: Ear):
    waiting = asyncio.create_task(ear.want(b"before"))
    await until(lambda: line.sent)
    line.answers.put_nowait(ConnectionResetError())

    async with asyncio.timeout(DEADLINE_S):
        await waiting
        await ear.want(b"after")
    assert not ear.connected


async def test_a_channel_that_is_forgotten_keeps_nobody_waiting(line: Line, ear: Ear):
    waiting = asyncio.create_task(ear.want(b"c"))
    await until(lambda: line.sent)

    ear.forget(b"c")

    async with asyncio.timeout(DEADLINE_S):
        await waiting


async def test_a_hearer_s_mistake_costs_what_it_was_told_and_not_its_hearing(line: Line):
    heard: list[object] = []
    back: list[None] = []

    def hear(messages: Sequence[tuple[bytes, bytes]]) -> None:
        heard.extend(messages)
        if len(heard) == 1:
            raise ZeroDivisionError

    clock = ManualClock()
    ear = Ear(
        lambda: line,  # pyright: ignore[reportArgumentType, reportUnknownLambdaType]
        on_messages=hear,
        on_back=lambda: back.append(None),
        patience=PATIENCE,
        clock=clock,
        chance=random.Random(1),
    )
    running = asyncio.create_task(ear.run())
    waiting = asyncio.create_task(ear.want(b"c"))
    await until(lambda: len(line.sent) == 1)
    line.answers.put_nowait([b"subscribe", b"c", 1])
    await waiting

    line.answers.put_nowait([b"message", b"c", b"1"])
    await until(lambda: not ear.connected)
    await clock.advance(PATIENCE.back_off_max_s)
    await until(lambda: len(line.sent) == 2)
    line.answers.put_nowait([b"subscribe", b"c", 1])
    line.answers.put_nowait([b"message", b"c", b"2"])
    await until(lambda: len(heard) == 2)

    # Who hears looks at everything: what it was told when it failed is lost.
    assert (ear.connected, back) == (True, [None])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_many_channels_are_subscribed_in_batches(line: Line, ear: Ear):
    channels = [b"%d" % number for number in range(SUBSCRIBE_CHANNELS_MAX + 1)]
    waiting = [asyncio.create_task(ear.want(channel)) for channel in channels]

    await until(lambda: len(line.sent) >= 2)

    assert [command[0] for command in line.sent] == ["SUBSCRIBE"] * 2
    assert [len(command) - 1 for command in line.sent] == [SUBSCRIBE_CHANNELS_MAX, 1]
    for channel in channels:
        line.answers.put_nowait([b"subscribe", channel, 1])
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*waiting)


class Client:
    """Round trips that end when the test says so."""

    def __init__(self) -> None:
        self.trips: list[list[str]] = []
        self.loaded: list[Script] = []
        self.go = asyncio.Event()
        self.fails: BaseException | None = None
        self.answers: dict[str, object] = {}

    async def make(self, calls: Sequence[Call]) -> Sequence[object]:
        keys = [call.key for call in calls]
        self.trips.append(keys)
        await self.go.wait()
        if self.fails is not None:
            raise self.fails
        return [self.answers.pop(key, key.encode()) for key in keys]

    async def load(self, script: Script) -> None:
        self.loaded.append(script)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
async def caller(client: Client) -> AsyncIterator[Caller]:
    caller = Caller(client)
    yield caller
    await caller.close()


SCRIPT = Script("publish.lua")


async def test_calls_made_during_a_round_trip_go_together_in_the_next(
    caller: Caller, client: Client
):
    first = asyncio.create_task(caller.call_one(Call(SCRIPT, "0", (), 1)))
    await until(lambda: client.trips)
    rest = [
        asyncio.create_task(caller.call_one(Call(SCRIPT, str(number), (), 1)))
        for number in range(1, TRIP_CALLS_MAX + 2)
    ]
    await asyncio.sleep(0)
    client.go.set()

    assert await asyncio.gather(first, *rest) == [
        b"%d" % number for number in range(TRIP_CALLS_MAX + 2)
    ]
    assert [len(trip) for trip in client.trips] == [1, TRIP_CALLS_MAX, 1]


async def test_a_round_trip_carries_so_many_bytes(caller: Caller, client: Client):
    client.go.set()
    half = TRIP_BYTES_MAX // 2

    await asyncio.gather(*(caller.call_one(Call(SCRIPT, str(n), (), half)) for n in range(5)))
    await caller.call_one(Call(SCRIPT, "large", (), 2 * TRIP_BYTES_MAX))

    assert client.trips == [["0", "1"], ["2", "3"], ["4"], ["large"]]


async def test_a_call_given_up_before_its_trip_is_left_out_and_after_it_ignored(
    caller: Caller, client: Client
):
    before, after, kept = (
        asyncio.create_task(caller.call_one(Call(SCRIPT, key, (), 1)))
        for key in ("before", "after", "kept")
    )
    await asyncio.sleep(0)
    before.cancel()
    await until(lambda: client.trips)
    after.cancel()
    await asyncio.sleep(0)
    client.go.set()

    assert await kept == b"kept"
    assert client.trips == [["after", "kept"]]


async def test_calls_that_wait_when_the_stream_closes_fail(caller: Caller, client: Client):
    in_flight = asyncio.create_task(caller.call_one(Call(SCRIPT, "1", (), 1)))
    await until(lambda: client.trips)
    waiting = asyncio.create_task(caller.call_one(Call(SCRIPT, "2", (), 1)))
    await asyncio.sleep(0)

    await caller.close()

    for call in (in_flight, waiting, caller.call_one(Call(SCRIPT, "3", (), 1))):
        with pytest.raises(StreamUnavailable):
            await call


async def test_a_mistake_of_ours_reaches_those_who_wait(caller: Caller, client: Client):
    """Not as StreamUnavailable: nobody should try that again."""
    client.fails = ZeroDivisionError()
    client.go.set()

    with pytest.raises(ZeroDivisionError):
        await caller.call_one(Call(SCRIPT, "1", (), 1))


async def test_calls_asked_for_together_are_answered_together_and_each_has_its_own_answer(
    caller: Caller, client: Client
):
    client.go.set()
    client.answers = {"1": ResponseError("OOM command not allowed"), "2": NoScriptError("NOSCRIPT")}

    zero, one, two = await caller.call_all([Call(SCRIPT, str(n), (), 1) for n in range(3)])

    assert (zero, two) == (b"0", b"2")
    assert isinstance(one, StreamUnavailable)
    assert client.loaded == [SCRIPT]
    assert client.trips == [["0", "1", "2"], ["2"]]


async def test_what_was_answered_stays_answered_when_a_later_trip_fails(
    caller: Caller, client: Client
):
    client.go.set()
    client.answers = {"1": NoScriptError("NOSCRIPT")}

    async def load(_: Script) -> None:
        raise RedisConnectionError("gone")

    client.load = load

    zero, one = await caller.call_all([Call(SCRIPT, str(n), (), 1) for n in range(2)])

    assert zero == b"0"
    assert isinstance(one, StreamUnavailable)
