import asyncio
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client import AnswerInvalid, Backoff, Holdfast, ProblemError, Unreachable
from holdfast.client.blocking import publish
from tests.client.scripted import QuickClock, Reply, Request, Scripted, body

TICKET = {"run_id": "r1", "session_id": "s", "after": 7}


def client(*urls: str) -> Holdfast:
    return Holdfast(urls, backoff=Backoff(0.001, 0.01), clock=QuickClock())


def scripted(*answers: object) -> Scripted:
    """Answer with each in turn, and with the last one from then on; an int is a bare status."""
    left = list(answers)

    async def handle(request: Request, reply: Reply) -> None:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, int):
            await reply.status(answer, b"<html>" if answer != 204 else b"")
        elif isinstance(answer, bytes):
            await reply.status(200, answer)
        elif isinstance(answer, tuple):
            await reply.problem(*answer)
        elif answer is None:
            await reply.cut()
        else:
            await reply.json(answer)

    return Scripted(handle)


async def test_a_run_is_asked_for_with_all_that_was_given():
    async with scripted(TICKET).serve() as server, client(server.url) as holdfast:
        ticket = await holdfast.start(
            "team",
            {"q": "ü"},
            "a b",
            on_busy="reject",
            start_at=datetime(2026, 11, 21, 9, tzinfo=UTC),
            priority=-5,
            timeout_s=90,
            idempotency_key="k1",
        )

    (request,) = server.requests
    assert (ticket.run_id, ticket.session_id, ticket.after) == ("r1", "s", 7)
    assert (request.method, request.target) == ("POST", "/v1/sessions/a%20b/runs")
    assert request.headers["idempotency-key"] == "k1"
    assert request.json == {
        "workflow": "team",
        "input": {"q": "ü"},
        "on_busy": "reject",
        "start_at": "2026-11-21T09:00:00+00:00",
        "priority": -5,
        "timeout_s": 90,
    }


async def test_without_a_session_the_run_gets_a_new_one():
    async with scripted(TICKET).serve() as server, client(server.url) as holdfast:
        await holdfast.start("team")

    assert server.requests[0].path == "/v1/runs"
    assert server.requests[0].json == {"workflow": "team"}


@pytest.mark.parametrize(
    "failure", [None, 500, 502, 503, 429, (409, "idempotency-key-in-flight", "")]
)
async def test_a_request_whose_outcome_is_unknown_is_made_again_with_the_same_key(failure: object):
    async with scripted(failure, TICKET).serve() as server, client(server.url) as holdfast:
        await holdfast.start("team")

    first, second = server.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert len(first.headers["idempotency-key"]) == 36


async def test_two_requests_have_two_keys():
    async with scripted(TICKET).serve() as server, client(server.url) as holdfast:
        await holdfast.start("team")
        await holdfast.start("team")

    assert len({r.headers["idempotency-key"] for r in server.requests}) == 2


async def test_a_refusal_is_raised_at_once_with_what_it_says():
    async def refuse(request: Request, reply: Reply) -> None:
        errors = [{"in": "body", "pointer": "/count", "detail": "must be positive"}]
        await reply.problem(422, "input-invalid", "the input doesn't fit", errors=errors)

    async with Scripted(refuse).serve() as server, client(server.url) as holdfast:
        with pytest.raises(ProblemError) as caught:
            await holdfast.start("team")

    error = caught.value
    assert (error.status, error.code, error.detail) == (
        422,
        "input-invalid",
        "the input doesn't fit",
    )
    assert error.errors[0]["pointer"] == "/count"
    assert len(server.requests) == 1


async def test_a_refusal_that_is_no_problem_document_is_told_by_its_status():
    async with scripted(403).serve() as server, client(server.url) as holdfast:
        with pytest.raises(ProblemError) as caught:
            await holdfast.run("r1")

    assert (caught.value.status, caught.value.code) == (403, "http-403")


async def test_when_no_gateway_listens_the_call_says_so_and_ends():
    async with scripted(TICKET).serve() as server:
        pass
    async with client(server.url) as holdfast:
        with pytest.raises(Unreachable, match=server.url):
            await holdfast.start("team")


async def test_the_second_gateway_answers_when_the_first_is_away():
    async with scripted(TICKET).serve() as gone:
        pass
    async with scripted(TICKET).serve() as there, client(gone.url, there.url) as holdfast:
        assert (await holdfast.start("team")).run_id == "r1"


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"run_id":"r1"}', 204])
async def test_an_answer_that_is_no_gateways_is_called_that(answer: object):
    async with scripted(answer).serve() as server, client(server.url) as holdfast:
        with pytest.raises(AnswerInvalid):
            await holdfast.start("team")


async def test_each_call_goes_to_its_route():
    async with scripted({"items": []}).serve() as server, client(server.url) as holdfast:
        await holdfast.create_session("s", ttl_s=60, metadata={"a": 1})
        await holdfast.session("s")
        await holdfast.sessions(status="active", limit=3, cursor="9")
        await holdfast.run("r/1")
        await holdfast.cancel("r1", reason="why")
        await holdfast.answer("r1", "i1", {"ok": True})
        await holdfast.steer("r1", "shorter")
        await holdfast.state("s", at=4)
        await holdfast.messages("s")
        await holdfast.workflows()
        await holdfast.erase("s")

    assert [f"{r.method} {r.target}" for r in server.requests] == [
        "POST /v1/sessions",
        "GET /v1/sessions/s",
        "GET /v1/sessions?status=active&limit=3&cursor=9",
        "GET /v1/runs/r%2F1",
        "POST /v1/runs/r1/cancel",
        "POST /v1/runs/r1/input",
        "POST /v1/runs/r1/input",
        "GET /v1/sessions/s/state?at=4",
        "GET /v1/sessions/s/messages",
        "GET /v1/workflows",
        "DELETE /v1/sessions/s",
    ]
    assert server.requests[0].json == {"session_id": "s", "ttl_s": 60, "metadata": {"a": 1}}
    assert server.requests[4].json == {"reason": "why"}
    assert server.requests[5].json == {"input_id": "i1", "value": {"ok": True}}
    assert server.requests[6].json == {"value": "shorter"}
    assert all("idempotency-key" in r.headers for r in server.requests if r.method == "POST")


async def page(request: Request, reply: Reply) -> None:
    """Five events, three a page."""
    after = int(request.query["after"])
    last = min(after + 3, 5)
    items = b",".join(body(seq) for seq in range(after + 1, last + 1))
    await reply.status(200, b'{"items":[%b],"next_after":%d,"head":5}' % (items, last))


async def test_a_page_holds_the_very_bytes_that_the_stream_carries():
    async with Scripted(page).serve() as server, client(server.url) as holdfast:
        got = await holdfast.events("s", after=1, limit=3, types=["a.*"])

    assert [e.body for e in got.items] == [body(2), body(3), body(4)]
    assert (got.next_after, got.head) == (4, 5)
    assert server.requests[0].query == {"after": "1", "limit": "3", "types": "a.*"}


async def test_reading_goes_through_all_pages_and_ends():
    async with Scripted(page).serve() as server, client(server.url) as holdfast:
        assert [e.seq async for e in holdfast.read("s")] == [1, 2, 3, 4, 5]

    assert len(server.requests) == 2


async def test_reading_ends_at_the_head_that_there_was_when_it_began():
    """A session that grows as fast as it is read must not hold its reader for ever."""

    async def growing(request: Request, reply: Reply) -> None:
        after = int(request.query["after"])
        items = b",".join(body(seq) for seq in range(after + 1, after + 4))
        await reply.status(
            200, b'{"items":[%b],"next_after":%d,"head":%d}' % (items, after + 3, after + 5)
        )

    async with Scripted(growing).serve() as server, client(server.url) as holdfast:
        assert [e.seq async for e in holdfast.read("s")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host", "http://", "/v1"])
def test_what_cannot_be_a_gateways_url_is_refused_at_once(url: str):
    with pytest.raises(ValueError, match="URL"):
        Holdfast(url)


@pytest.mark.parametrize("session", ["", ".", ".."])
async def test_an_id_that_a_url_would_swallow_is_refused(session: str):
    async with client("http://127.0.0.1:1") as holdfast:
        with pytest.raises(ValueError, match="id"):
            await holdfast.session(session)


async def test_a_start_without_time_zone_is_refused():
    async with client("http://127.0.0.1:1") as holdfast:
        with pytest.raises(ValueError, match="time zone"):
            await holdfast.start("w", start_at=datetime(2026, 1, 1))  # noqa: DTZ001


@given(st.integers(1, 10_000), st.randoms(use_true_random=False))
def test_a_wait_of_our_own_is_never_outside_its_bounds(failures: int, chance: random.Random):
    assert 0.2 <= Backoff().delay(failures, chance) <= 10


@given(st.integers(1, 100), st.floats(0, 1e6, allow_nan=False), st.randoms(use_true_random=False))
def test_a_wait_is_never_shorter_than_asked_for_up_to_a_minute(
    failures: int, asked_s: float, chance: random.Random
):
    delay = Backoff().delay(failures, chance, asked_s=asked_s)

    assert min(asked_s, 60) <= delay <= 60


def test_waits_grow_and_differ_between_clients():
    late = [Backoff().delay(10, random.Random(n)) for n in range(50)]

    assert max(Backoff().delay(1, random.Random(n)) for n in range(50)) <= 0.4
    assert max(late) > 5
    assert len(set(late)) == 50


async def test_an_own_event_is_published_once_however_often_the_call_is_made():
    answer = {"session_id": "s", "after": 7}
    async with scripted(503, answer).serve() as server, client(server.url) as holdfast:
        after = await holdfast.publish("s", "custom.paid", {"amount": 1}, metadata={"by": "x"})

        first, second = server.requests
        assert after == 7
        assert (first.method, first.path) == ("POST", "/v1/sessions/s/events")
        assert first.json == {
            "type": "custom.paid",
            "data": {"amount": 1},
            "metadata": {"by": "x"},
        }
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


async def test_a_program_without_a_loop_can_publish_too():
    async with scripted({"session_id": "s", "after": 7}).serve() as server:
        after = await asyncio.to_thread(publish, server.url, "s", "custom.paid", {"amount": 1})

    assert after == 7
