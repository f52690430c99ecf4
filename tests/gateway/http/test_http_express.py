"""Streams' requests that are taken before the web server: nobody can tell, but by what they cost."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from typing import Any

import pytest
import structlog
from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from holdfast.events.catalog.run import RunCompleted
from holdfast.events.store import Located, RunStatus, SessionName
from holdfast.gateway.express import Express, Plain
from holdfast.gateway.principal import Principal, principal
from holdfast.gateway.wire import AHEAD_BYTES_MAX
from tests.gateway.http.conftest import WORKFLOWS, Serve, Served, serving, settings_for_tests
from tests.gateway.http.frames import eventually

STREAM = "GET /v1/sessions/s/stream?after=0 HTTP/1.1"
HOST = "Host: 127.0.0.1"
LIVEZ = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

# Whole requests, and whether they are plain: the others are the web server's.
TAKEN = [
    [STREAM, HOST],
    [STREAM, "host: 127.0.0.1", "Connection: keep-alive"],
    [STREAM, HOST, "Accept: text/event-stream", "User-Agent: a (b; c) d/1", "Cookie: a=b; c=d"],
    [STREAM, HOST, "Origin: https://app.example"],
    [STREAM, HOST, "Origin: https://evil.example"],
    [STREAM, HOST, "X-Request-Id: mine"],
    [STREAM, HOST, "X-Request-Id: not mine"],
    [STREAM, HOST, "Last-Event-ID: 1"],
    [STREAM, HOST, "Last-Event-ID: 99"],
    ["GET /v1/sessions/s/stream HTTP/1.1", HOST],
    ["GET /v1/sessions/s/stream? HTTP/1.1", HOST],
    ["GET /v1/sessions/s/stream?types=session.*,run.completed HTTP/1.1", HOST],
    ["GET /v1/sessions/none/stream HTTP/1.1", HOST, "X-Request-Id: mine"],
    ["GET /v1/sessions/gone/stream HTTP/1.1", HOST, "X-Request-Id: mine"],
    ["GET /v1/runs/RUN/stream?after=0 HTTP/1.1", HOST],
    ["GET /v1/runs/RUN/stream?after=99 HTTP/1.1", HOST],
    ["GET /v1/runs/OPENED/stream HTTP/1.1", HOST],
    ["GET /v1/runs/none/stream HTTP/1.1", HOST, "X-Request-Id: mine"],
]
LEFT = [
    [STREAM],
    ["GET /v1/sessions/s/stream HTTP/1.0", HOST],
    ["get /v1/sessions/s/stream HTTP/1.1", HOST],
    ["HEAD /v1/sessions/s/stream HTTP/1.1", HOST, "Connection: close"],
    ["POST /v1/sessions/s/stream HTTP/1.1", HOST],
    ["GET  /v1/sessions/s/stream HTTP/1.1", HOST],
    ["GET http://127.0.0.1/v1/sessions/s/stream HTTP/1.1", HOST],
    ["GET /v1/sessions/s/stream/ HTTP/1.1", HOST],
    ["GET /v1/sessions/s/stream#x HTTP/1.1", HOST],
    ["GET /v1/sessions/%73/stream HTTP/1.1", HOST],
    ["GET /v1/sessions/s/stream?after=%30 HTTP/1.1", HOST],
    ["GET /v1/sessions/s/stream?after=x HTTP/1.1", HOST, "X-Request-Id: mine"],
    ["GET /v1/sessions/s/stream?after=1&after=1 HTTP/1.1", HOST, "X-Request-Id: mine"],
    ["GET /v1/sessions/s/replay HTTP/1.1", HOST, "Connection: close"],
    [STREAM, HOST, "Last-Event-ID: 1", "Last-Event-ID: 1", "X-Request-Id: mine"],
    [STREAM, HOST, "Connection: close"],
    [STREAM, HOST, "Connection: upgrade", "Upgrade: h2c"],
    [STREAM, HOST, "Proxy-Connection: close"],
    [STREAM, HOST, "Content-Length: 0"],
    [STREAM, HOST, "Content-Length: 1", "X-Request-Id: mine"],
    [STREAM, HOST, "Transfer-Encoding: chunked", "X-Request-Id: mine"],
    [STREAM, HOST, "Expect: 100-continue"],
    [STREAM, HOST, "X-Empty: "],
    [STREAM, HOST, "X-Tab: a\tb"],
    [STREAM, HOST, "X-Space:  a "],
    [STREAM, HOST, "X-None:a"],
    [STREAM, HOST, "X_Y: a"],
    [STREAM, HOST, "X Y: a"],
    [STREAM, HOST, "X-Folded: a\r\n b"],
    [STREAM, HOST, "X-Null: a\0b"],
    [STREAM, HOST, "X-Latin: \xe9"],
    [STREAM, "Host: evil.example", "X-Request-Id: mine"],
    [STREAM, HOST, "Host: evil.example", "X-Request-Id: mine"],
    [STREAM, HOST, "X-Long: " + "a" * 4_000],
    [STREAM, HOST, "X-Longer: " + "a" * 20_000, "X-Request-Id: mine"],
    ["GET /v1/sessions/s/stream?x=" + "a" * 4_000 + " HTTP/1.1", HOST, "X-Request-Id: mine"],
    ["PRI * HTTP/2.0", HOST],
    ["nonsense"],
]

# What a response has of its own moment.
OWN = re.compile(
    rb"(?<=date: )[^\r]*|(?<=x-request-id: )[0-9a-f]{32}|(?<=retry: )\d+|(?<=request_id\":\")[0-9a-f]{32}"
)


async def in_the_ordinary_way(request: Request) -> Principal:
    """As everybody's. A principal of somebody's own wants to see every request as such."""
    del request
    return Principal("local", scopes=frozenset({"*"}))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Plain | None]:
    """What became of each connection's first bytes."""
    found: list[Plain | None] = []
    read = Express.read

    def listed(self: Express, data: bytes) -> Plain | None:
        found.append(read(self, data))
        return found[-1]

    monkeypatch.setattr(Express, "read", listed)
    return found


@pytest.fixture
async def world() -> AsyncIterator[tuple[Served, str, str]]:
    async with serving(settings_for_tests(cors_origins="https://app.example")) as served:
        await served.store.registry.announce("worker", WORKFLOWS)
        for name in ("s", "gone"):
            await served.session(name)
        _, session = await served.session("runs")
        ended = (await served.run("runs"))["run_id"]
        completed = RunCompleted(result=1, duration_ms=1)
        await served.worker.set_run(session, ended, RunStatus.COMPLETED, completed)
        open_run = (await served.run("runs"))["run_id"]
        await served.client.delete("/v1/sessions/gone")
        await served.worker.work()
        yield served, ended, open_run


async def said(served: Served, request: bytes) -> bytes:
    """Return a response up to where nothing is to be expected any more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(request)
    answer = b""
    try:
        async with asyncio.timeout(10):
            while b"event: caught-up" not in answer and not _whole(answer):
                if not (more := await reader.read(65536)):
                    break
                answer += more
    except TimeoutError:
        raise AssertionError((request, answer)) from None
    finally:
        writer.close()
    return OWN.sub(b"", answer)


def _whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if found := re.search(rb"content-length: (\d+)", head):
        return len(body) >= int(found[1]) or b"-length: 0" in head
    return head.startswith(b"HTTP/1.1 204") or body.endswith(b"0\r\n\r\n")


async def test_who_is_taken_gets_the_bytes_that_the_web_server_would_have_sent(
    world: tuple[Served, str, str], taken: list[Plain | None]
):
    served, ended, open_run = world
    requests = [
        ("\r\n".join(lines) + "\r\n\r\n")
        .replace("RUN", ended)
        .replace("OPENED", open_run)
        .encode("latin-1")
        for lines in [*TAKEN, *LEFT]
    ]
    here = [await said(served, request) for request in requests]
    which = [plain is not None for plain in taken]
    served.app.dependency_overrides[principal] = in_the_ordinary_way
    taken.clear()
    ordinary = [await said(served, request) for request in requests]

    for request, one, other in zip(requests, here, ordinary, strict=True):
        assert one == other, request
        assert one.startswith(b"HTTP/1.1 "), request
    assert not any(taken)
    for request, is_taken, wanted in zip(
        requests, which, [True] * len(TAKEN) + [False] * len(LEFT), strict=True
    ):
        assert is_taken is wanted, request


async def test_requests_in_pieces_or_together_are_the_web_servers(
    world: tuple[Served, str, str], taken: list[Plain | None]
):
    served, ended, _ = world
    stream = f"GET /v1/runs/{ended}/stream?after=0 HTTP/1.1\r\n{HOST}\r\n\r\n".encode()

    together = await served.raw(stream + LIVEZ.encode())

    assert together.count(b"HTTP/1.1 200 OK") == 2
    for cut in (1, 20, len(stream) - 1):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        writer.write(stream[:cut])
        await asyncio.sleep(0.02)
        writer.write(stream[cut:])
        async with asyncio.timeout(10):
            assert b"run.completed" in await reader.readuntil(b"0\r\n\r\n")
        writer.close()
    assert taken == [None] * 4


async def test_an_answer_that_is_no_stream_is_found_once(
    world: tuple[Served, str, str], taken: list[Plain | None], monkeypatch: pytest.MonkeyPatch
):
    """It is judged before the web server has the request, which only says it."""
    served, *_ = world
    asked: list[Collection[SessionName]] = []
    locate = served.store.desk.locate

    async def listed(names: Collection[SessionName]) -> Mapping[SessionName, Located]:
        asked.append(names)
        return await locate(names)

    monkeypatch.setattr(served.store.desk, "locate", listed)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    answers: list[bytes] = []
    # The connection goes on: the next request on it isn't answered with the same.
    for name in ("none", "gone"):
        writer.write(f"GET /v1/sessions/{name}/stream HTTP/1.1\r\n{HOST}\r\n\r\n".encode())
        async with asyncio.timeout(10):
            answers.append(await reader.readuntil(b"}"))
        assert len(asked) == len(answers)
    writer.close()

    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 404", b"HTTP/1.1 410"]
    assert [plain is not None for plain in taken] == [True]


async def test_streams_are_counted_whoever_took_their_requests(world: tuple[Served, str, str]):
    served, ended, _ = world
    for path in ("/v1/sessions/s/stream?after=0", f"/v1/runs/{ended}/stream?after=0"):
        for begin in (b"GET ", b"GET  "):  # one space more is the web server's
            await said(served, begin + f"{path} HTTP/1.1\r\n{HOST}\r\n\r\n".encode())

    text = (await served.client.get("/metrics")).text

    for route in ("/v1/sessions/{session_id}/stream", "/v1/runs/{run_id}/stream"):
        assert f'requests_total{{method="GET",route="{route}",status="200"}} 2.0' in text


async def test_what_comes_while_a_stream_is_opened_is_answered_after_it(
    world: tuple[Served, str, str], monkeypatch: pytest.MonkeyPatch
):
    served, ended, _ = world
    asked, answer = _held(served, monkeypatch)
    for path, status in (
        (f"/v1/runs/{ended}/stream?after=0", b"200"),
        ("/v1/sessions/none/stream", b"404"),
    ):
        asked.clear()
        answer.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        writer.write(f"GET {path} HTTP/1.1\r\n{HOST}\r\n\r\n".encode())
        await asked.wait()
        writer.write(LIVEZ.encode())
        await asyncio.sleep(0.02)
        answer.set()
        async with asyncio.timeout(10):
            all_of_it = await reader.read()
        writer.close()

        assert all_of_it.startswith(b"HTTP/1.1 " + status)
        assert all_of_it.endswith(b'{"status":"ok"}')
        assert all_of_it.count(b"HTTP/1.1 ") == 2


async def test_who_talks_without_end_while_its_stream_is_opened_is_let_go(
    world: tuple[Served, str, str], monkeypatch: pytest.MonkeyPatch
):
    served, *_ = world
    asked, answer = _held(served, monkeypatch)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(f"{STREAM}\r\n{HOST}\r\n\r\n".encode())
    await asked.wait()

    writer.write(b"x" * (AHEAD_BYTES_MAX + 1))

    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            assert await reader.read() == b""
    answer.set()
    writer.close()
    await eventually(lambda: not served.server.server_state.tasks and not served.gateway.streams)
    assert served.gateway.admission.inside == 0


async def test_who_leaves_in_line_gives_up_its_place(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("holdfast.gateway.app.CONNECTS_MAX", 1)
    async with serve() as served:
        await served.session("s")
        asked, answer = _held(served, monkeypatch)
        clients: list[asyncio.StreamWriter] = []
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
            writer.write(f"{STREAM}\r\n{HOST}\r\n\r\n".encode())
            clients.append(writer)
        await asked.wait()
        await eventually(lambda: served.gateway.admission.waiting == 2)

        clients[1].transport.abort()

        await eventually(lambda: served.gateway.admission.waiting == 1)
        answer.set()
        await eventually(lambda: served.gateway.streams == 2)
        await eventually(lambda: not served.server.server_state.tasks)
        assert served.gateway.admission.inside == 0
        for writer in clients:
            writer.close()
        await eventually(lambda: served.gateway.streams == 0)


async def test_a_bug_is_logged_once_and_answered_as_every_other(
    world: tuple[Served, str, str], monkeypatch: pytest.MonkeyPatch
):
    served, *_ = world

    async def bug(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(served.gateway.hub, "subscribe", bug)
    with capture_logs() as logged:
        answer = await said(served, f"{STREAM}\r\n{HOST}\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"retry: " in answer
    assert [line["event"] for line in logged] == ["request.failed"]


async def test_whose_turn_does_not_come_is_told_so_once(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("holdfast.gateway.app.CONNECTS_MAX", 1)
    monkeypatch.setattr("holdfast.gateway.app.CONNECT_PATIENCE_S", 0.1)
    async with serve() as served:
        await served.session("s")
        asked, answer = _held(served, monkeypatch)
        _, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        writer.write(f"{STREAM}\r\n{HOST}\r\n\r\n".encode())
        await asked.wait()

        refused = await said(served, f"{STREAM}\r\n{HOST}\r\n\r\n".encode())

        assert b"retry: " in refused
        text = (await served.client.get("/metrics")).text
        assert 'holdfast_sse_refused_total{reason="late"} 1.0' in text
        answer.set()
        writer.close()


async def test_what_is_logged_of_a_stream_that_is_opened_is_of_its_request(
    world: tuple[Served, str, str], monkeypatch: pytest.MonkeyPatch
):
    served, *_ = world
    subscribe = served.gateway.hub.subscribe

    async def talkative(*given: Any, **more: Any) -> Any:
        structlog.get_logger("test").info("said")
        return await subscribe(*given, **more)

    monkeypatch.setattr(served.gateway.hub, "subscribe", talkative)
    with capture_logs(processors=[merge_contextvars]) as logged:
        await said(served, f"{STREAM}\r\n{HOST}\r\nX-Request-Id: mine-8\r\n\r\n".encode())

    assert [line["request_id"] for line in logged if line["event"] == "said"] == ["mine-8"]


async def test_somebodys_own_layer_sees_every_request(taken: list[Plain | None]):
    seen: list[str] = []

    class Layer:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope.get("path", ""))
            await self.app(scope, receive, send)

    async with serving(
        settings_for_tests(), prepare=lambda app: app.add_middleware(Layer)
    ) as served:
        await served.session("s")
        await said(served, f"{STREAM}\r\n{HOST}\r\n\r\n".encode())

    assert "/v1/sessions/s/stream" in seen
    assert not any(taken)


@pytest.mark.parametrize("begun", [b"", b"GET /v1/sess"])
async def test_a_request_that_does_not_come_is_not_waited_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, begun: bytes
):
    """Its time runs from when the connection was made, whoever waits."""
    monkeypatch.setattr("holdfast.gateway.protocol.HEADER_TIMEOUT_S", 0.5)
    async with serve() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        loop = asyncio.get_running_loop()
        opened = loop.time()
        await asyncio.sleep(0.3)
        writer.write(begun)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        assert loop.time() - opened < 0.5 + 0.3
        writer.close()


def _held(served: Served, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Have sessions located when the second event is set; the first tells that one is asked for."""
    asked, answer, locate = asyncio.Event(), asyncio.Event(), served.store.desk.locate

    async def held(names: Collection[SessionName]) -> Mapping[SessionName, Located]:
        asked.set()
        await answer.wait()
        return await locate(names)

    monkeypatch.setattr(served.store.desk, "locate", held)
    return asked, answer
