"""Bytes that are no HTTP, nearly HTTP, or HTTP meant badly: never a 5xx, never a hang, never a second meaning.

`python -m tests.fuzz` is the same at any length.
"""

import asyncio

import pytest

from tests.fuzz.knobs import times
from tests.fuzz.raw_campaign import Tally, campaign
from tests.fuzz.raw_cases import ENDPOINTS, KINDS, Case, Names, make_case
from tests.fuzz.raw_wire import Answer, Outcome, faults
from tests.gateway.http.conftest import Serve, Served
from tests.gateway.http.frames import eventually

CASES_PER_ENDPOINT = 500

# The contract is 100 ms, which the long form reports; beside other tests a whole process may stand still longer.
LAG_S = 2.0

NAMES = Names("s", "r", "w")


@pytest.mark.fault
@pytest.mark.e2e
@pytest.mark.timeout(3600)
async def test_whatever_is_sent_is_answered_or_hung_up_on_and_the_gateway_goes_on():
    tally = Tally(seed=20)

    await campaign(tally, times(CASES_PER_ENDPOINT) * len(ENDPOINTS))

    assert not tally.found
    assert min(tally.endpoints[f"{m} {p}"] for m, p in ENDPOINTS) >= CASES_PER_ENDPOINT
    assert set(tally.kinds) == set(KINDS)
    assert tally.lag_s < LAG_S
    # A generator whose cases all die at the parser would find nothing in the application.
    for status in ("200", "202", "400", "404", "405", "408", "413", "414", "415", "422", "431"):
        assert tally.statuses[status] >= 10, tally.statuses


@pytest.mark.e2e
async def test_some_of_it_in_every_run():
    tally = Tally(seed=3)

    await campaign(tally, times(20) * len(ENDPOINTS))

    assert not tally.found


def test_a_case_is_its_seed_and_its_number():
    for number in range(200):
        assert make_case(1, number, NAMES) == make_case(1, number, NAMES)
    assert make_case(1, 0, NAMES) != make_case(2, 0, NAMES)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(in_time=False),
        Outcome(closed=True),
        Outcome(garbage=b"x"),
        Outcome([Answer(500, {b"content-type": b"application/problem+json"}, b"{}", True)]),
        Outcome([Answer(404, {b"content-type": b"text/plain"}, b"no", True)]),
        Outcome([Answer(404, {b"content-type": b"application/problem+json"}, b"{}", True)]),
        Outcome([Answer(200, {}, b"", False)]),
        Outcome([Answer(200, {}, b"", True)] * 2),
    ],
)
def test_what_must_not_happen_is_seen(outcome: Outcome):
    """A judge that finds nothing wrong with anything proves nothing."""
    assert faults(Case(0, "x", "GET", [b""], must_answer=True), outcome)


# --- what was found, each by itself ---------------------------------------------------------------


async def test_a_stream_with_a_request_behind_it_ends_with_its_connection(serve: Serve):
    """uvicorn tells the request that it read last; the stream would have gone on for ever, to nobody."""
    async with serve(heartbeat_s=0.1) as served:
        await served.session("s")
        _, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        writer.write(b"GET /v1/sessions/s/stream HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        await eventually(lambda: served.gateway.streams == 1)

        writer.transport.abort()

        await eventually(lambda: served.gateway.streams == 0)


@pytest.mark.parametrize("version", [b"2.0", b"0.9"])
async def test_a_version_whose_clients_would_not_understand_the_answer_is_refused(
    served: Served, version: bytes
):
    answer = await served.raw(b"GET /livez HTTP/%b\r\nHost: localhost\r\n\r\n" % version)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


async def test_a_replay_says_once_what_becomes_of_its_connection(served: Served):
    await served.session("s")

    answer = await served.raw(
        b"GET /v1/sessions/s/replay?speed=0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )

    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert head.count(b"\r\nconnection:") == 1
    assert b"\r\nconnection: close" in head
