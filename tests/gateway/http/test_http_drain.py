"""A connection that stays open brings its client back to the process that is stopping."""

import asyncio

from holdfast.events.catalog.message import MessageCompleted
from tests.gateway.http.conftest import WORKFLOWS, Serve, Served
from tests.gateway.http.frames import eventually


async def ask(served: Served, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(request)
    return reader, writer


async def rest_until_closed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.read()


async def test_after_a_drained_stream_its_connection_is_closed(serve: Serve):
    async with serve(drain_s=0.1) as served:
        await served.session("s")
        reader, writer = await ask(
            served, b"GET /v1/sessions/s/stream HTTP/1.1\r\nhost: localhost\r\n\r\n"
        )
        head = await reader.readuntil(b"caught-up")
        await served.gateway.drain()

        rest = await rest_until_closed(reader)
        writer.close()

        assert b"connection: close" not in head
        assert b"event: drain" in rest
        assert rest.endswith(b"0\r\n\r\n")


async def test_after_a_drained_stream_of_a_post_its_connection_is_closed(serve: Serve):
    async with serve(drain_s=0.1) as served:
        await served.store.registry.announce("w", WORKFLOWS)
        reader, writer = await ask(
            served,
            b"POST /v1/runs HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n"
            b'content-type: application/json\r\ncontent-length: 19\r\n\r\n{"workflow":"free"}',
        )
        await reader.readuntil(b"retry")
        await served.gateway.drain()

        rest = await rest_until_closed(reader)
        writer.close()

        assert b"event: drain" in rest
        assert rest.endswith(b"0\r\n\r\n")


async def test_a_replay_is_drained_and_its_connection_closed(serve: Serve):
    async with serve(drain_s=0.1) as served:
        _, session = await served.session("s")
        await asyncio.sleep(0.3)  # so that there is a pause to show: 3 s at a tenth of the speed
        await served.worker.record(
            session, MessageCompleted(message_id="m", content="a", duration_ms=1)
        )
        reader, writer = await ask(
            served, b"GET /v1/sessions/s/replay?speed=0.1 HTTP/1.1\r\nhost: localhost\r\n\r\n"
        )
        await reader.readuntil(b"id: 1")
        await served.gateway.drain()

        rest = await rest_until_closed(reader)
        writer.close()

        assert b"caught-up" not in rest
        assert rest.endswith(b"0\r\n\r\n")
        metrics = (await served.client.get("/metrics")).text
        assert 'holdfast_sse_disconnects_total{reason="drain"} 1.0' in metrics


async def test_while_draining_every_answer_says_that_its_connection_closes(served: Served):
    await served.session("s")
    before = await served.client.get("/v1/sessions/s")
    served.gateway.draining = True

    for path in ("/v1/sessions/s", "/readyz", "/v1/sessions/s/stream", "/nothing"):
        response = await served.client.get(path)
        assert response.headers["connection"] == "close", path

    assert "connection" not in before.headers
    await eventually(lambda: not served.server.server_state.connections)
