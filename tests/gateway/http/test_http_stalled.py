"""Readers that ask and then take nothing, on the routes that are not the hot one. Over sockets, where it hurts."""

import json
import logging
import socket
from typing import Any

import pytest
from structlog.testing import capture_logs

from holdfast.events.catalog.message import MessageCompleted
from tests.gateway.http.conftest import WORKFLOWS, Serve, Served
from tests.gateway.http.frames import eventually

# More than the kernel's buffers of a connection and all that waits above them.
LARGE = [MessageCompleted(message_id="m", content="x" * 200_000, duration_ms=1)] * 60

DEADLINE_S = 0.3


def stalled(served: Served, request: str, body: str = "") -> socket.socket:
    """Return a connection that sent its request and reads nothing of the answer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", served.server.port))
    connection.sendall(
        f"{request} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection


async def assert_let_go(
    served: Served, logged: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    # The client of the fixture may hold a connection of its own.
    await eventually(lambda: len(served.server.server_state.tasks) == 0, within_s=10)
    await eventually(lambda: len(served.server.server_state.connections) <= 1, within_s=5)
    ended = [line for line in logged if line["event"] == "subscription.ended"]
    assert [line["ending"] for line in ended] == ["slow"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    metrics = (await served.client.get("/metrics")).text
    assert 'holdfast_sse_disconnects_total{reason="slow"} 1.0' in metrics
    assert "holdfast_sse_connections 0.0" in metrics


async def test_a_replay_that_nobody_reads_is_broken_off(
    serve: Serve, caplog: pytest.LogCaptureFixture
):
    async with serve(send_deadline_s=DEADLINE_S) as served:
        _, session = await served.session("s")
        await served.worker.record(session, *LARGE)
        with capture_logs() as logged, stalled(served, "GET /v1/sessions/s/replay?speed=0"):
            await eventually(lambda: len(served.server.server_state.tasks) == 1)

            await assert_let_go(served, logged, caplog)


async def test_a_replay_whose_very_last_write_is_not_taken_is_broken_off(
    serve: Serve, caplog: pytest.LogCaptureFixture
):
    """The end of a response is a write as well, and the one behind a full buffer."""
    async with serve(send_deadline_s=DEADLINE_S) as served:
        _, session = await served.session("s")
        await served.worker.record(session, *LARGE[:49])
        with capture_logs() as logged, stalled(served, "GET /v1/sessions/s/replay?speed=0"):
            await eventually(lambda: len(served.server.server_state.tasks) == 1)

            await assert_let_go(served, logged, caplog)


async def test_the_stream_of_a_post_that_nobody_reads_is_broken_off(
    serve: Serve, caplog: pytest.LogCaptureFixture
):
    async with serve(send_deadline_s=DEADLINE_S) as served:
        await served.store.registry.announce("w", WORKFLOWS)
        _, session = await served.session("s")
        body = json.dumps({"workflow": "free"})
        with capture_logs() as logged, stalled(served, "POST /v1/sessions/s/runs", body):
            await eventually(lambda: served.gateway.hub.subscribers == 1)
            await served.worker.work()
            (run,) = await served.store.desk.runs("local", "s")
            await served.worker.record(session, *LARGE, run_id=run.run_id)

            await assert_let_go(served, logged, caplog)
