"""Round trips over a connection of their own, whose other end is the test."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, NoScriptError, ResponseError

from holdfast.events.stream_redis_scripts import Call, Script
from holdfast.events.stream_redis_trips import LineTrips, packed
from tests.contract.stream_rigs import until

# pyright: reportPrivateUsage=false

pytestmark = pytest.mark.anyio

PATIENT_S = 30.0

SCRIPT = Script("publish.lua")
CALLS = [Call(SCRIPT, key, ("w", 1), 10) for key in "abc"]


class Pipe:
    """A transport."""

    def __init__(self) -> None:
        self.protocol: Any = self  # the driver's own, until somebody takes over
        self.written: list[bytes] = []
        self.closing = False

    def get_protocol(self) -> object:
        return self.protocol

    def set_protocol(self, protocol: object) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None: ...

    def connection_lost(self, _: Exception | None) -> None: ...

    def abort(self) -> None:
        self.closing = True


class Connection:
    """As much of the driver's connection as is used."""

    def __init__(self, *, shown: bool) -> None:
        self._writer = self if shown else None
        self.transport = Pipe()
        self.disconnected = False

    async def connect(self) -> None: ...

    async def disconnect(self, **_: Any) -> None:
        self.disconnected = True

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.transport.protocol.data_received(piece)


class Driver:
    """Makes connections, and trips in its own way."""

    def __init__(self, *, shows_its_transport: bool = True) -> None:
        self.shown = shows_its_transport
        self.connections: list[Connection] = []
        self.trips: list[Sequence[Call]] = []
        self.loaded: list[Script] = []

    def connection(self) -> Any:
        self.connections.append(Connection(shown=self.shown))
        return self.connections[-1]

    async def make(self, calls: Sequence[Call]) -> Sequence[object]:
        self.trips.append(calls)
        return [b"driver"] * len(calls)

    async def load(self, script: Script) -> None:
        self.loaded.append(script)


def trips_of(driver: Driver, *, answer_s: float = PATIENT_S) -> LineTrips:
    return LineTrips(driver.connection, otherwise=driver, answer_s=answer_s)


async def under_way(
    driver: Driver, trips: LineTrips
) -> tuple[asyncio.Task[Sequence[object]], Connection]:
    """Return a trip that has been written."""
    made = len(driver.connections) + (not trips.connected)
    trip = asyncio.create_task(trips.make(CALLS))
    await until(
        lambda: len(driver.connections) == made and bool(driver.connections[-1].transport.written)
    )
    return trip, driver.connections[-1]


async def test_a_trip_is_one_write_and_its_answers_keep_their_order_however_they_come_in():
    driver = Driver()
    trips = trips_of(driver)
    trip, connection = await under_way(driver, trips)
    assert connection.transport.written == [b"".join(map(packed, CALLS))]

    connection.say(b"$2\r\nok\r\n-NOSCRIPT none", b" such\r\n", b"-OOM no", b" room\r\n")

    first, unknown, refused = await trip
    assert first == b"ok"
    assert isinstance(unknown, NoScriptError)
    assert type(refused) is ResponseError
    assert str(refused) == "OOM no room"
    connection.transport.written.clear()
    trip, same = await under_way(driver, trips)
    assert same is connection
    same.say(b"$1\r\n1\r\n" * 3)
    assert await trip == [b"1"] * 3


async def goes_silent(_trip: asyncio.Task[Any], _connection: Connection) -> None: ...


async def is_lost(_trip: asyncio.Task[Any], connection: Connection) -> None:
    connection.transport.protocol.connection_lost(None)


async def says_too_much(_trip: asyncio.Task[Any], connection: Connection) -> None:
    connection.say(b"$1\r\n1\r\n" * 4)


async def talks_nonsense(_trip: asyncio.Task[Any], connection: Connection) -> None:
    connection.say(b"hello\r\n")


async def is_given_up(trip: asyncio.Task[Any], _connection: Connection) -> None:
    trip.cancel()


@pytest.mark.parametrize(
    ("happens", "answer_s", "error"),
    [
        (goes_silent, 0.2, TimeoutError),
        (is_lost, PATIENT_S, RedisConnectionError),
        (says_too_much, PATIENT_S, InvalidResponse),
        (talks_nonsense, PATIENT_S, InvalidResponse),
        (is_given_up, PATIENT_S, asyncio.CancelledError),
    ],
)
async def test_a_trip_that_does_not_end_well_takes_its_connection_with_it_and_no_answer_is_taken_for_another(
    happens: Callable[[asyncio.Task[Any], Connection], Any],
    answer_s: float,
    error: type[BaseException],
):
    driver = Driver()
    trips = trips_of(driver, answer_s=answer_s)
    trip, first = await under_way(driver, trips)
    first.say(b"$3\r\nold\r\n")

    await happens(trip, first)

    with pytest.raises(error):
        await trip
    assert first.disconnected
    assert first.transport.closing
    assert not trips.connected
    trips._answer_s = PATIENT_S
    trip, second = await under_way(driver, trips)
    assert second is not first
    first.transport.protocol.connection_lost(None)  # told a little later, and nothing to the second
    for _ in range(3):
        await asyncio.sleep(0)
    second.say(b"$3\r\nnew\r\n" * 3)
    assert await trip == [b"new"] * 3


async def test_a_connection_that_was_lost_between_two_trips_costs_none_of_them():
    driver = Driver()
    trips = trips_of(driver)
    trip, first = await under_way(driver, trips)
    first.say(b"$1\r\n1\r\n" * 3)
    await trip
    first.transport.protocol.connection_lost(None)
    assert not trips.connected

    trip, second = await under_way(driver, trips)
    second.say(b"$1\r\n2\r\n" * 3)

    assert await trip == [b"2"] * 3


async def test_a_script_is_loaded_where_the_calls_go():
    """An address may lead elsewhere meanwhile: a script that another Redis was told of is none that this one knows."""
    driver = Driver()
    trips = trips_of(driver)
    trip, connection = await under_way(driver, trips)
    connection.say(b"$1\r\n1\r\n" * 3)
    await trip
    connection.transport.written.clear()

    for answer in (b"$2\r\nab\r\n", b"-NOPERM no\r\n"):
        loading = asyncio.create_task(trips.load(SCRIPT))
        await until(lambda: bool(connection.transport.written))
        [said] = connection.transport.written
        assert SCRIPT.source in said
        connection.transport.written.clear()
        connection.say(answer)
        if answer.startswith(b"-"):
            with pytest.raises(ResponseError, match="NOPERM"):
                await loading
        else:
            await loading
    assert (len(driver.connections), driver.loaded) == (1, [])


async def test_a_redis_that_became_a_replica_is_left_and_its_name_asked_anew():
    driver = Driver()
    trips = trips_of(driver)
    trip, replica = await under_way(driver, trips)
    replica.say(b"$1\r\n1\r\n" * 2, b"-READONLY You can't write against a read only replica.\r\n")

    assert str((await trip)[2]).startswith("READONLY")

    assert not trips.connected
    trip, primary = await under_way(driver, trips)
    assert primary is not replica
    primary.say(b"$1\r\n2\r\n" * 3)
    assert await trip == [b"2"] * 3
    assert trips.connected


async def test_a_driver_that_hides_its_transport_makes_the_trips_itself():
    driver = Driver(shows_its_transport=False)
    trips = trips_of(driver)

    assert await trips.make(CALLS) == await trips.make(CALLS) == [b"driver"] * 3

    assert driver.trips == [CALLS, CALLS]
    assert [connection.disconnected for connection in driver.connections] == [True]
    await trips.load(SCRIPT)
    assert driver.loaded == [SCRIPT]
