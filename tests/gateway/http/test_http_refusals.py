"""A native EventSource dies of any status but a few: what will pass must not be one of the others."""

import asyncio
from typing import Any

import pytest
import structlog

from holdfast.events.errors import StreamUnavailable
from holdfast.gateway import limits
from tests.gateway.http.conftest import Served
from tests.gateway.http.frames import parse

STREAMS = ["sessions/s/stream", "runs/r/stream", "sessions/s/replay"]


def bug(*_: Any, **__: Any) -> Any:
    raise RuntimeError("secret thing")


def assert_passing(response: Any) -> None:
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    (frame,) = parse(response.content)
    assert 1500 <= int(frame["retry"]) <= 4000


@pytest.mark.parametrize("path", STREAMS)
async def test_a_bug_before_the_first_byte_of_a_stream_is_a_refusal_in_passing(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str
):
    monkeypatch.setattr(served.store.desk, "session", bug)
    monkeypatch.setattr(served.store.desk, "locate", bug)
    monkeypatch.setattr(served.store.desk, "run", bug)

    with structlog.testing.capture_logs() as logged:
        response = await served.client.get(f"/v1/{path}")

    assert_passing(response)
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["request.failed"]


async def test_a_stream_that_is_closed_behind_the_hub_is_a_refusal_in_passing(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    async def closed(*_: Any) -> None:
        raise StreamUnavailable("the stream is closed")

    await served.session("s")
    monkeypatch.setattr(served.gateway.wakes, "watch", closed)

    assert_passing(await served.client.get("/v1/sessions/s/stream"))


async def test_a_bug_behind_the_stream_of_a_post_still_says_where_the_run_is(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(served.gateway.hub, "subscribe", bug)

    response = await served.client.post(
        "/v1/runs", json={"workflow": "free"}, headers={"accept": "text/event-stream"}
    )

    assert_passing(response)
    assert (await served.client.get(response.headers["location"])).status_code == 200


@pytest.mark.parametrize("path", STREAMS)
async def test_a_request_for_a_stream_that_is_too_large_is_a_400(served: Served, path: str):
    big = await served.client.get(
        f"/v1/{path}", headers={"last-event-id": "1" * limits.HEADER_BYTES_MAX}
    )
    long = await served.client.get(f"/v1/{path}?types=" + "a" * limits.URL_BYTES_MAX)

    assert (big.status_code, big.json()["code"]) == (400, "headers-too-large")
    assert (long.status_code, long.json()["code"]) == (400, "url-too-long")


# protocol P11
async def test_what_is_refused_for_good_stays_a_status(served: Served):
    async with asyncio.timeout(5):
        unknown = await served.client.get("/v1/sessions/none/stream")
        malformed = await served.client.get("/v1/sessions/none/stream?after=x")

    assert (unknown.status_code, malformed.status_code) == (404, 400)
