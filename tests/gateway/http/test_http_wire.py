"""The bare connection that a stream is lent by the server: nobody can tell, but by what it costs."""

import asyncio
import gc
import re
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from holdfast.events.catalog.run import RunCompleted
from holdfast.events.store import Located, RunStatus, SessionName
from holdfast.gateway.protocol import PatientProtocol
from holdfast.gateway.reception import Reception
from holdfast.gateway.wire import AHEAD_BYTES_MAX, Wire
from tests.gateway.http.conftest import Serve, Served
from tests.gateway.http.frames import eventually

COMPLETED = RunCompleted(result=1, duration_ms=1)
GET = "GET {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n"


class Socket:
    """A client that writes HTTP by hand and takes chunks apart."""

    def __init__(self, served: Served) -> None:
        self._served = served

    async def open(self, path: str, headers: str = "") -> "Socket":
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self._served.server.port
        )
        self.ask(path, headers)
        return self

    def ask(self, path: str, headers: str = "") -> None:
        self.writer.write(GET.format(path, headers).encode())

    async def head(self) -> str:
        async with asyncio.timeout(10):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def chunk(self) -> bytes:
        async with asyncio.timeout(10):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def until(self, wanted: bytes) -> bytes:
        seen = b""
        while wanted not in seen:
            seen += await self.chunk()
        return seen

    async def end_of_response(self) -> None:
        while await self.chunk():
            pass


async def ended_run(served: Served) -> str:
    _, session = await served.session("s")
    run = await served.run("s")
    await served.worker.set_run(session, run["run_id"], RunStatus.COMPLETED, COMPLETED)
    return run["run_id"]


def wires(served: Served) -> list[Wire]:
    return [c for c in served.server.server_state.connections if isinstance(c, Wire)]


async def test_a_stream_that_waits_holds_neither_a_task_nor_what_speaks_http(served: Served):
    await served.session("s")
    tasks = len(asyncio.all_tasks())
    gc.disable()
    try:
        clients = [await Socket(served).open("/v1/sessions/s/stream?after=0") for _ in range(5)]
        for client in clients:
            await client.head()
            await client.until(b"caught-up")
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks)

        assert not [p for p in gc.get_objects() if isinstance(p, Reception)]
        held = [p for p in gc.get_objects() if isinstance(p, PatientProtocol)]
        assert len(wires(served)) == 5
        assert {p for p in held if p in served.server.server_state.connections} == {
            p for p in held if getattr(p, "parser", None) is not None
        }
    finally:
        gc.enable()
    for client in clients:
        client.writer.close()
    await eventually(lambda: not wires(served) and served.gateway.streams == 0)
    assert len(asyncio.all_tasks()) <= tasks


async def test_the_head_and_the_first_words_come_in_one_packet(served: Served):
    """Each write costs the kernel 5 µs and wakes the client: a wave of connects is mostly that."""
    await served.session("s")
    client = await Socket(served).open("/v1/sessions/s/stream?after=0")

    async with asyncio.timeout(10):
        first = await client.reader.read(65536)

    assert first.startswith(b"HTTP/1.1 200")
    assert b"retry: " in first
    assert b"event: caught-up" in first
    client.writer.close()


async def test_a_connection_goes_on_after_a_stream_that_ended_by_itself(served: Served):
    run_id = await ended_run(served)
    client = await Socket(served).open(f"/v1/runs/{run_id}/stream?after=0")
    assert "transfer-encoding: chunked" in await client.head()
    await client.end_of_response()

    client.ask("/livez")
    assert (await client.head()).startswith("HTTP/1.1 200")
    await client.reader.readexactly(len(b'{"status":"ok"}'))
    client.ask(f"/v1/runs/{run_id}/stream?after=0")

    assert "text/event-stream" in await client.head()
    await client.end_of_response()
    assert len(served.server.server_state.connections) >= 1
    client.writer.close()
    await eventually(lambda: served.gateway.streams == 0)


async def test_a_connection_that_was_given_back_is_not_hung_up_on_for_saying_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    """It is between two requests, as after any other response, and not in the midst of a header."""
    monkeypatch.setattr("holdfast.gateway.protocol.HEADER_TIMEOUT_S", 0.1)
    run_id = await ended_run(served)
    client = await Socket(served).open(f"/v1/runs/{run_id}/stream?after=0")
    await client.head()
    await client.end_of_response()

    await asyncio.sleep(0.4)
    client.ask("/livez")

    assert (await client.head()).startswith("HTTP/1.1 200")
    client.writer.close()


async def test_a_request_that_came_during_a_stream_is_answered_after_it(served: Served):
    _, session = await served.session("s")
    run = await served.run("s")
    client = await Socket(served).open(f"/v1/runs/{run['run_id']}/stream?after=0")
    await client.head()
    await client.until(b"caught-up")

    client.ask("/livez")
    await asyncio.sleep(0.05)
    await served.worker.set_run(session, run["run_id"], RunStatus.COMPLETED, COMPLETED)
    await client.end_of_response()

    assert (await client.head()).startswith("HTTP/1.1 200")
    client.writer.close()


async def test_a_request_behind_a_streams_own_is_answered_after_it_too(served: Served):
    """It is there before the stream begins: then the connection is not lent."""
    run_id = await ended_run(served)
    client = Socket(served)
    client.reader, client.writer = await asyncio.open_connection("127.0.0.1", served.server.port)

    client.writer.write(
        (GET.format(f"/v1/runs/{run_id}/stream?after=0", "") + GET.format("/livez", "")).encode()
    )

    assert "text/event-stream" in await client.head()
    await client.end_of_response()
    assert (await client.head()).startswith("HTTP/1.1 200")
    client.writer.close()


async def test_the_beginning_of_a_next_request_is_not_lost(served: Served):
    """It came in one packet with the stream's own; its rest comes when the stream has ended."""
    run_id = await ended_run(served)
    client = Socket(served)
    client.reader, client.writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    following = GET.format("/livez", "")

    client.writer.write(
        (GET.format(f"/v1/runs/{run_id}/stream?after=0", "") + following[:12]).encode()
    )
    assert "text/event-stream" in await client.head()
    await client.end_of_response()
    client.writer.write(following[12:].encode())

    assert (await client.head()).startswith("HTTP/1.1 200")
    client.writer.close()


async def test_who_talks_without_end_during_a_stream_is_let_go(served: Served):
    await served.session("s")
    client = await Socket(served).open("/v1/sessions/s/stream?after=0")
    await client.head()
    await client.until(b"caught-up")

    client.writer.write(b"x" * (AHEAD_BYTES_MAX + 1))

    await eventually(lambda: served.gateway.streams == 0)
    assert not wires(served)
    client.writer.close()


async def test_who_leaves_while_its_session_is_looked_up_leaves_nothing_behind(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    await served.session("s")
    asked, answered, locate = asyncio.Event(), asyncio.Event(), served.store.desk.locate

    async def held(names: Collection[SessionName]) -> Mapping[SessionName, Located]:
        asked.set()
        await answered.wait()
        return await locate(names)

    monkeypatch.setattr(served.store.desk, "locate", held)
    client = await Socket(served).open("/v1/sessions/s/stream?after=0")
    await asked.wait()
    connections = served.server.server_state.connections
    before = len(connections)
    client.writer.transport.abort()
    await eventually(lambda: len(connections) < before)
    answered.set()

    await eventually(lambda: len(served.server.server_state.tasks) == 0)
    assert served.gateway.streams == 0
    assert not caplog.records


async def test_what_is_logged_of_a_streams_end_is_of_its_request(served: Served):
    await served.session("s")
    with capture_logs(processors=[merge_contextvars]) as logged:
        client = await Socket(served).open(
            "/v1/sessions/s/stream?after=0", "X-Request-Id: mine-7\r\n"
        )
        await client.head()
        await client.until(b"caught-up")
        client.writer.close()
        await eventually(lambda: served.gateway.streams == 0)

    (line,) = [line for line in logged if line["event"] == "subscription.ended"]
    assert (line["ending"], line["request_id"]) == ("client", "mine-7")


async def test_a_bug_in_the_midst_of_a_stream_breaks_it_off(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    """A clean end would tell the client that this was all."""
    await served.session("s")
    client = await Socket(served).open("/v1/sessions/s/stream?types=custom.*&after=0")
    await client.head()
    await client.until(b"caught-up")

    def bug(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr("holdfast.gateway.reading.sift", bug)
    with capture_logs() as logged:
        await served.run("s")
        async with asyncio.timeout(10):
            rest = await client.reader.read()
        client.writer.close()

    assert not rest.endswith(b"0\r\n\r\n")
    assert "stream.failed" in [line["event"] for line in logged]
    await eventually(lambda: served.gateway.streams == 0)


async def test_a_drained_stream_says_so_and_its_connection_is_closed(serve: Serve):
    async with serve() as served:
        await served.session("s")
        client = await Socket(served).open("/v1/sessions/s/stream?after=0")
        await client.head()
        await client.until(b"caught-up")

        served.server.should_exit = True

        words = await client.until(b"retry: ")
        assert re.search(rb"event: drain\ndata: \{\}\n\nretry: \d+\n\n", words)
        async with asyncio.timeout(10):
            assert await client.reader.read() == b"0\r\n\r\n"
        client.writer.close()
