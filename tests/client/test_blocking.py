"""The client of a program without an event loop."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.client import Backoff, BlockingHoldfast, Holdfast, ProblemError
from tests.client.scripted import QuickClock, Reply, Request, Scripted, body, frame, in_thread

LOG = 5


async def gateway(request: Request, reply: Reply) -> None:
    """Five events, three a page, two a connection; everything else is one answer."""
    if request.path.endswith("/stream"):
        if request.cursor >= LOG:
            await reply.status(204)
            return
        await reply.stream()
        last = min(request.cursor + 2, LOG)
        await reply.send(b"".join(map(frame, range(request.cursor + 1, last + 1))))
        await reply.cut()
    elif request.path.endswith("/events") and request.method == "GET":
        after = int(request.query["after"])
        last = min(after + 3, LOG)
        items = b",".join(body(seq) for seq in range(after + 1, last + 1))
        await reply.status(200, b'{"items":[%b],"next_after":%d,"head":%d}' % (items, last, LOG))
    elif request.path.endswith("/nowhere"):
        await reply.problem(404, "session-unknown", "no session")
    else:
        ticket = {"run_id": "r1", "session_id": "s", "after": 7, "items": [{"session_id": "s"}]}
        await reply.json(ticket)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with in_thread(gateway) as server:
        yield server


@pytest.fixture
def client(server: Scripted) -> Iterator[BlockingHoldfast]:
    with BlockingHoldfast(
        server.url, backoff=Backoff(0.001, 0.01), clock=QuickClock(), headers={"x-a": "b"}
    ) as client:
        yield client


def test_a_run_is_asked_for_and_followed_through_cuts(client: BlockingHoldfast, server: Scripted):
    ticket = client.start("ticker", {"events": 3}, idempotency_key="k")

    with client.follow("s") as events:
        assert [event.seq for event in events] == [1, 2, 3, 4, 5]

    assert (ticket.run_id, ticket.after) == ("r1", 7)
    assert server.requests[0].headers["idempotency-key"] == "k"
    assert [r.cursor for r in server.requests[1:]] == [0, 2, 4, 5]
    assert (events.cursor, events.status.state, events.counters.resumes) == (5, "ended", 2)


def test_the_cursor_is_kept_over_processes(client: BlockingHoldfast, tmp_path: Path):
    with client.follow("s", cursor_file=tmp_path / "c") as events:
        assert next(events).seq == 1
    rest = client.follow_run("r1", cursor_file=tmp_path / "d")

    assert [event.seq for event in client.follow("s", cursor_file=tmp_path / "c")] == [2, 3, 4, 5]
    assert next(rest).seq == 1
    rest.close()
    assert list(rest) == []


def test_every_event_that_exists_is_read(client: BlockingHoldfast):
    assert [event.seq for event in client.read("s")] == [1, 2, 3, 4, 5]
    assert client.events("s", after=1, limit=2).next_after == 4


def test_each_call_goes_to_its_route(client: BlockingHoldfast, server: Scripted):
    client.create_session("s", ttl_s=60)
    client.session("s")
    assert [item["session_id"] for item in client.each_session(status="active")] == ["s"]
    client.run("r1")
    client.cancel("r1", reason="why")
    client.answer("r1", "i1", {"ok": True})
    client.steer("r1", "shorter")
    client.state("s", at=4)
    client.messages("s")
    client.workflows()
    assert client.publish("s", "custom.paid", {"amount": 1}) == 7
    client.erase("s", reason="asked")

    assert [f"{r.method} {r.target}" for r in server.requests] == [
        "POST /v1/sessions",
        "GET /v1/sessions/s",
        "GET /v1/sessions?status=active&limit=200",
        "GET /v1/runs/r1",
        "POST /v1/runs/r1/cancel",
        "POST /v1/runs/r1/input",
        "POST /v1/runs/r1/input",
        "GET /v1/sessions/s/state?at=4",
        "GET /v1/sessions/s/messages",
        "GET /v1/workflows",
        "POST /v1/sessions/s/events",
        "DELETE /v1/sessions/s?reason=asked",
    ]
    assert all(r.headers["x-a"] == "b" for r in server.requests)


def test_a_refusal_is_raised(client: BlockingHoldfast):
    with pytest.raises(ProblemError, match="no session"):
        client.session("nowhere")


async def test_from_a_running_loop_it_is_refused():
    with pytest.raises(RuntimeError):
        BlockingHoldfast("http://127.0.0.1:1").session("s")


# What one process that waits has no use for: a page where there is all of it, a pace of its own,
# and a state that goes on while the program doesn't.
_ASYNC_ONLY = {"sessions", "replay", "live_state", "aclose"}


def test_it_can_do_what_the_client_can():
    can = {name for name, _ in inspect.getmembers(Holdfast, inspect.isfunction) if name[0] != "_"}
    too = {n for n, _ in inspect.getmembers(BlockingHoldfast, inspect.isfunction) if n[0] != "_"}

    assert can - _ASYNC_ONLY == too - {"close"}


@pytest.mark.parametrize("name", ["start", "publish", "follow", "follow_run", "read", "events"])
def test_it_takes_what_the_client_takes(name: str):
    theirs = inspect.signature(getattr(Holdfast, name)).parameters
    ours = inspect.signature(getattr(BlockingHoldfast, name)).parameters

    assert {n: p.default for n, p in theirs.items()} == {n: p.default for n, p in ours.items()}
