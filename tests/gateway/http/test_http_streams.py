import asyncio
from typing import Any

import pytest

from holdfast.events.catalog.message import MessageCompleted
from holdfast.events.catalog.run import RunCompleted, RunStarted
from holdfast.events.errors import StoreUnavailable
from holdfast.events.store import RunStatus
from tests.gateway.http.conftest import WORKFLOWS, Serve, Served
from tests.gateway.http.frames import eventually, named, parse, seqs, types, until

STARTED = RunStarted(workflow="free", workflow_version="1")
COMPLETED = RunCompleted(result=1, duration_ms=1)


def said(content: str) -> MessageCompleted:
    return MessageCompleted(message_id=content, content=content, duration_ms=1)


def away(*_: Any, **__: Any) -> Any:
    raise StoreUnavailable("away")


def assert_stream_headers(response: Any) -> None:
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store, no-transform"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "content-encoding" not in response.headers
    assert "server" not in response.headers


# protocol P6, P10
async def test_a_session_is_followed_from_its_beginning_into_the_present(served: Served):
    session_id, session = await served.session()

    async with served.client.stream(
        "GET", f"/v1/sessions/{session_id}/stream", headers={"accept-encoding": "gzip, br"}
    ) as response:
        assert_stream_headers(response)
        body = response.aiter_raw()
        past = await until(body, b"event: caught-up")
        recorded = await served.worker.record(session, said("a"), said("b"))
        present = await until(body, b'"b"')

    assert 1500 <= int(past[0]["retry"]) <= 4000
    assert (seqs(past), named(past)) == ([1], ["caught-up"])
    assert [frame["data"] for frame in present] == [event.body for event in recorded]


# protocol P4
async def test_the_header_beats_the_query_and_a_suffix_is_ignored(served: Served):
    session_id, session = await served.session()
    await served.worker.record(session, *[said(str(n)) for n in range(5)])

    async with served.client.stream(
        "GET",
        f"/v1/sessions/{session_id}/stream?after=1",
        headers={"last-event-id": "4-0af3"},
    ) as response:
        frames = await until(response.aiter_raw(), b"event: caught-up")

    assert seqs(frames) == [5, 6]


async def test_filters_pass_what_they_name(served: Served):
    session_id, session = await served.session()
    await served.worker.record(session, said("a"), STARTED, COMPLETED, run_id="r")

    async with served.client.stream(
        "GET", f"/v1/sessions/{session_id}/stream?types=message.*,run.completed"
    ) as response:
        frames = await until(response.aiter_raw(), b"event: caught-up")

    assert types(frames) == ["message.completed", "run.completed"]


CURSORS = ["abc", "-1", "1e9", "1" * 20, "1" * 41, "", "1,2", "1 2", "0x1", "\u0661", "1-", "1-G"]


@pytest.mark.parametrize("cursor", CURSORS)
# protocol P4
async def test_a_cursor_that_no_reader_was_given_is_a_400(served: Served, cursor: str):
    await served.session("s")
    for path in ("sessions/s/stream", "sessions/s/events", "sessions/s/replay"):
        response = await served.client.get(f"/v1/{path}", params={"after": cursor})
        assert (response.status_code, response.json()["code"]) == (400, "cursor-invalid")
    for path in ("sessions/s/stream", "sessions/s/replay"):
        response = await served.client.get(
            f"/v1/{path}", headers={"last-event-id": cursor.encode()}
        )
        assert (response.status_code, response.json()["code"]) == (400, "cursor-invalid")


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("after=1&after=2", []),
        ("", [("last-event-id", "1"), ("last-event-id", "1")]),
        ("types=a&types=b", []),
        ("types=%00", []),
        ("types=" + ",".join("a" * 65), []),
        ("types=" + "a" * 200, []),
        ("agent=", []),
        ("agent=" + "a" * 129, []),
        ("agent=a%0Ab", []),
        ("agent=a&agent=b", []),
    ],
)
async def test_two_answers_to_one_question_or_a_malformed_one_are_a_400(
    served: Served, query: str, headers: list[tuple[str, str]]
):
    await served.session("s")

    response = await served.client.get(f"/v1/sessions/s/stream?{query}", headers=headers)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("value", [b"1\xff", b"\xb2"])
async def test_bytes_that_are_no_text_are_no_cursor(served: Served, value: bytes):
    await served.session("s")

    response = await served.client.get("/v1/sessions/s/stream", headers=[(b"last-event-id", value)])

    assert response.status_code == 400


async def test_a_run_stream_begins_where_the_run_was_asked_for_and_ends_with_it(served: Served):
    session_id, session = await served.session()
    await served.worker.record(session, said("before"))
    run = await served.run(session_id)
    run_id = run["run_id"]

    async with served.client.stream("GET", f"/v1/runs/{run_id}/stream") as response:
        assert_stream_headers(response)
        body = response.aiter_raw()
        first = await until(body, b"event: caught-up")
        await served.worker.set_run(session, run_id, RunStatus.RUNNING, STARTED)
        await served.worker.record(session, said("another's"), run_id="other")
        await served.worker.set_run(session, run_id, RunStatus.COMPLETED, COMPLETED)
        async with asyncio.timeout(5):
            rest = parse(b"".join([chunk async for chunk in body]))

    assert run["after"] == 2
    assert types(first + rest) == ["command.accepted", "run.started", "run.completed"]

    at_the_end = await served.client.get(
        f"/v1/runs/{run_id}/stream", headers={"last-event-id": str(seqs(rest)[-1])}
    )
    assert (at_the_end.status_code, at_the_end.content) == (204, b"")


async def test_an_erased_session_is_a_410_on_every_route_that_read_it(served: Served):
    session_id, _ = await served.session()
    run_id = (await served.run(session_id))["run_id"]
    await served.client.delete(f"/v1/sessions/{session_id}")
    await served.worker.work()

    for call in ("stream", "events", "replay", "state", "messages"):
        response = await served.client.get(f"/v1/sessions/{session_id}/{call}")
        assert (response.status_code, response.json()["code"]) == (410, "session-gone"), call
    assert (await served.client.get(f"/v1/runs/{run_id}/stream")).status_code in (404, 410)


@pytest.mark.parametrize("path", ["sessions/s/stream", "sessions/s/replay", "runs/r/stream"])
# protocol P11
async def test_a_stream_that_cannot_be_served_now_is_a_200_that_says_when_to_come_back(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str
):
    """A native EventSource that gets a 503 never comes back."""
    monkeypatch.setattr(served.store.desk, "session", away)
    monkeypatch.setattr(served.store.desk, "locate", away)
    monkeypatch.setattr(served.store.desk, "run", away)

    response = await served.client.get(f"/v1/{path}")

    assert_stream_headers(response)
    (frame,) = parse(response.content)
    assert 1500 <= int(frame["retry"]) <= 4000


async def test_a_stream_over_the_limit_is_sent_away_and_let_in_when_there_is_room(serve: Serve):
    async with serve(streams_max=1) as served:
        await served.session("s")
        async with served.client.stream("GET", "/v1/sessions/s/stream") as first:
            body = first.aiter_raw()  # dropping it would close the stream
            await until(body, b"caught-up")
            second = await served.client.get("/v1/sessions/s/stream")
            answered = await served.client.get("/v1/sessions/s")
        await eventually(lambda: not served.gateway.hub.subscribers)
        async with served.client.stream("GET", "/v1/sessions/s/stream") as third:
            frames = await until(third.aiter_raw(), b"caught-up")

        assert [list(frame) for frame in parse(second.content)] == [["retry"]]
        assert answered.status_code == 200
        assert seqs(frames) == [1]


async def test_a_post_that_asks_for_a_stream_gets_the_runs_and_where_to_resume_it(served: Served):
    session_id, session = await served.session()

    async with served.client.stream(
        "POST",
        f"/v1/sessions/{session_id}/runs",
        json={"workflow": "free"},
        headers={"accept": "text/event-stream"},
    ) as response:
        assert_stream_headers(response)
        run_id = response.headers["location"].rpartition("/")[2]
        assert response.headers["content-location"] == f"/v1/runs/{run_id}/stream?after=1"
        await served.worker.work()
        await served.worker.set_run(session, run_id, RunStatus.RUNNING, STARTED)
        await served.worker.set_run(session, run_id, RunStatus.COMPLETED, COMPLETED)
        async with asyncio.timeout(5):
            blob = b"".join([chunk async for chunk in response.aiter_raw()])
    resumed = await served.client.get(response.headers["content-location"])

    assert b"\r" not in blob
    frames = parse(blob)
    assert "retry" in frames[0]
    assert types(frames) == ["command.accepted", "run.started", "run.completed"]
    assert [f["data"] for f in parse(resumed.content) if "id" in f and "data" in f] == [
        f["data"] for f in frames if "id" in f and "data" in f
    ]


async def test_a_post_stream_that_cannot_be_served_still_started_its_run(serve: Serve):
    async with serve(streams_max=1) as served:
        await served.store.registry.announce("w", WORKFLOWS)
        await served.session("s")
        async with served.client.stream("GET", "/v1/sessions/s/stream") as first:
            body = first.aiter_raw()  # dropping it would close the stream
            await until(body, b"caught-up")
            response = await served.client.post(
                "/v1/sessions/s/runs",
                json={"workflow": "free"},
                headers={"accept": "text/event-stream"},
            )

        assert_stream_headers(response)
        assert [list(frame) for frame in parse(response.content)] == [["retry"]]
        assert (await served.client.get(response.headers["location"])).status_code == 200


async def test_a_bad_request_for_a_post_stream_is_a_problem_not_a_stream(served: Served):
    response = await served.client.post(
        "/v1/runs", json={"workflow": "none"}, headers={"accept": "text/event-stream"}
    )

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_client_that_leaves_a_post_stream_leaves_nothing_behind(served: Served):
    async with served.client.stream(
        "POST",
        "/v1/runs",
        json={"workflow": "free"},
        headers={"accept": "text/event-stream"},
    ) as response:
        await anext(response.aiter_raw())
        assert served.gateway.hub.subscribers == 1

    await eventually(lambda: not served.gateway.hub.subscribers)


async def test_a_reader_that_takes_nothing_is_dropped_through_all_the_layers(serve: Serve):
    """Its cursor lets it come back; kept, it would hold its buffers for ever."""
    async with serve(send_deadline_s=0.3) as served:
        _, session = await served.session("s")
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port, limit=1024)
        writer.write(b"GET /v1/sessions/s/stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await reader.readuntil(b"retry")
        await eventually(lambda: served.gateway.hub.subscribers == 1)
        async with asyncio.timeout(20):
            while served.gateway.hub.subscribers:
                await served.worker.record(session, *[said("x" * 100_000) for _ in range(10)])
        writer.close()

        text = (await served.client.get("/metrics")).text
        assert 'holdfast_sse_disconnects_total{reason="slow"} 1.0' in text
        await eventually(lambda: len(served.server.server_state.connections) <= 1)


async def test_a_drain_says_goodbye_with_a_time_to_come_back_and_takes_nobody_new(serve: Serve):
    async with serve(drain_s=0.3) as served:
        await served.session("s")
        async with served.client.stream("GET", "/v1/sessions/s/stream") as response:
            body = response.aiter_raw()
            await until(body, b"caught-up")
            ended = asyncio.create_task(served.gateway.drain())
            async with asyncio.timeout(5):
                last = parse(b"".join([chunk async for chunk in body]))
                await ended

        turned_away = await served.client.get("/v1/sessions/s/stream")
        ready = await served.client.get("/readyz")
        still = await served.client.get("/v1/sessions/s/events")

        assert named(last) == ["drain"]
        assert 1000 <= int(last[-1]["retry"]) <= 15_000
        assert [list(frame) for frame in parse(turned_away.content)] == [["retry"]]
        assert ready.status_code == 503
        assert still.status_code == 200
