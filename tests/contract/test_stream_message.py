"""What a wake-up says, whoever wrote it, and whichever version."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import Wake
from holdfast.events.stream_message import VERSION, read_message
from holdfast.events.stream_redis_line import Line
from tests.contract.stream_rigs import Listener, RedisRig, carrying, events, until

pytest_plugins = ["tests.contract.stream_fixtures"]

pytestmark = pytest.mark.anyio


def told(first: int, last: int, *lines: bytes) -> bytes:
    return b"\n".join([VERSION + b"%d %d" % (first, last), *lines])


def test_a_message_of_a_head_alone_says_that():
    assert read_message(7, b"17") == Wake(7, 17)


def test_a_message_of_one_event_and_of_several_are_those():
    one, two = (b"a.b", b"run-1", b'{"seq":4}'), (b"c.d", b"", b'{"seq":5}')
    first = RecordedEvent(4, "a.b", "run-1", b'{"seq":4}')
    second = RecordedEvent(5, "c.d", None, b'{"seq":5}')

    assert read_message(7, told(4, 4, *one)) == Wake(7, 4, (first,))
    assert read_message(7, told(4, 5, *one, *two)) == Wake(7, 5, (first, second))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"e2 4 4\na.b\n\n{}",  # of a version to come
        b"e1 4 4",
        told(4, 4, b"a.b", b"", b"two", b"lines"),
        told(4, 5, b"a.b", b"", b"three", b"lines", b"are", b"one", b"event", b"", b"{}"),
        told(4, 4, b"\xff", b"", b"{}"),
        told(5, 4),
        told(5, 3, b"a.b", b"", b"{}"),
        b"e1 x 4\na.b\n\n{}",
        b"e1 4\na.b\n\n{}",
        "\u0661".encode(),  # a digit, but not of ours
    ],
)
def test_whatever_else_a_message_says_there_is_news(message: bytes):
    """A gateway of before reads anything but a number so, too: it looks at the window."""
    wake = read_message(7, message)

    assert (wake.session, wake.events) == (7, ())
    assert wake.head is None or wake.head < 5


@given(
    st.binary(max_size=60), st.sampled_from([b"", VERSION, VERSION + b"1 1\n", VERSION + b"1 2\n"])
)
def test_no_message_harms_who_reads_it(rest: bytes, start: bytes):
    wake = read_message(7, start + rest)

    assert wake.session == 7
    assert [event.seq for event in wake.events] == list(range(1, 1 + len(wake.events)))
    assert not wake.events or wake.head == wake.events[-1].seq


@pytest.mark.redis
async def test_publishers_of_other_versions_wake_the_readers_all_the_same(
    redis_rig: RedisRig, session: int
):
    """The one of before tells its head alone; one to come says things that nobody here knows."""
    wakes = redis_rig.stream.wakes()
    await wakes.watch(session)
    listener = Listener(wakes)
    channel = redis_rig.key(session).replace(":events", ":wake")

    await redis_rig.do("PUBLISH", channel, "17")
    await redis_rig.do("PUBLISH", channel, b"e2 18 18 zstd\n\x00\x01")
    await redis_rig.stream.publish(session, events(1, 1))

    said = [await listener.next() for _ in range(3)]
    assert said == [Wake(session, 17), Wake(session), carrying(session, events(1, 1))]


@pytest.mark.redis
async def test_a_subscriber_that_redis_cut_off_for_its_slowness_is_told_to_look_at_all(
    redis_rig: RedisRig, session: int
):
    """A gateway that stands still is sent no end of events: Redis doesn't keep them for it without a limit."""
    wakes = redis_rig.stream.wakes()
    await wakes.watch(session)
    listener = Listener(wakes)
    limit = await redis_rig.do("CONFIG", "GET", "client-output-buffer-limit")
    await redis_rig.do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 65536 0 0")
    channel = redis_rig.key(session).replace(":events", ":wake")
    try:
        # In one call of Redis, so that nobody reads meanwhile: more than sockets hold.
        await redis_rig.do(
            "EVAL",
            "for i = 1, 2000 do redis.call('PUBLISH', KEYS[1], ARGV[1]) end",
            1,
            channel,
            b"e1 1 1\na.b\n\n" + b"x" * 16_000,
        )
        await until(lambda: Wake(None) in listener.heard)
    finally:
        await redis_rig.do("CONFIG", "SET", "client-output-buffer-limit", limit[1])

    assert wakes.connected
    listener.heard.clear()
    await redis_rig.stream.publish(session, events(1, 1))
    assert await listener.next() == carrying(session, events(1, 1))


@pytest.mark.redis
async def test_where_the_driver_hides_its_transport_its_own_way_is_taken(
    redis_rig: RedisRig, session: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Line, "take_over", classmethod(lambda *_, **__: None))
    wakes = redis_rig.stream.wakes()
    listener = Listener(wakes)
    await wakes.watch(session)

    for seq in range(1, 20):
        await redis_rig.stream.publish(session, events(seq, seq))

    heard = [await listener.next() for _ in range(19)]
    assert heard == [carrying(session, events(seq, seq)) for seq in range(1, 20)]


class Pipe:
    """A transport that the test is the other end of."""

    def __init__(self) -> None:
        self.protocol: object = Before()
        self.reading = True

    def get_protocol(self) -> object:
        return self.protocol

    def set_protocol(self, protocol: object) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False


class Before:
    """The driver's protocol."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def connection_lost(self, _: Exception | None) -> None:
        self.told.append("lost")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Connection:
    """As much of the driver's connection as is looked for."""

    def __init__(self) -> None:
        self._writer = self
        self.transport = Pipe()


def a_line(heard: list[object]) -> tuple[Line, Pipe]:
    connection = Connection()
    line = Line.take_over(connection, heard.extend)  # pyright: ignore[reportArgumentType]
    assert line is not None
    return line, connection.transport


async def test_a_line_hands_over_all_whole_replies_of_what_came_and_keeps_the_rest():
    heard: list[object] = []
    line, _ = a_line(heard)

    for piece in (b"*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n*1\r\n$", b"1\r\n", b"c\r\n"):
        line.data_received(piece)

    assert heard == [[b"a"], [b"b"], [b"c"]]


async def test_a_line_that_hears_nonsense_or_whose_hearer_fails_ends():
    line, transport = a_line([])
    line.data_received(b"what is this?\r\n")
    with pytest.raises(Exception, match="Protocol error"):
        await line.until_lost(1.0)
    assert not transport.reading

    failing, _ = a_line([])
    failing._hear = lambda _: 1 // 0  # pyright: ignore[reportPrivateUsage]
    failing.data_received(b"+OK\r\n")
    with pytest.raises(ZeroDivisionError):
        await failing.until_lost(1.0)


async def test_what_a_driver_must_know_of_its_connection_is_passed_on():
    line, transport = a_line([])
    assert transport.protocol is line
    line.pause_writing()
    line.resume_writing()
    line.connection_lost(None)

    before = line._before  # pyright: ignore[reportPrivateUsage]
    assert before.told == ["pause", "resume", "lost"]
    with pytest.raises(RedisConnectionError, match="closed by Redis"):
        await line.until_lost(1.0)


async def test_a_line_is_lost_when_it_is_silent_for_too_long_and_kept_by_any_word():
    line, _ = a_line([])
    lost = asyncio.create_task(line.until_lost(1.0))
    for _ in range(25):
        await asyncio.sleep(0.05)
        line.data_received(b"+PONG\r\n")
    assert not lost.done()

    with pytest.raises(RedisConnectionError, match="silent"):
        await lost
