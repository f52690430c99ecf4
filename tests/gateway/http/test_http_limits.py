import asyncio
import json
from typing import Any

import pytest

from holdfast.gateway import limits, protocol
from tests.gateway.http.conftest import Served
from tests.gateway.http.frames import eventually

JSON = {"content-type": "application/json"}


def problem(response: Any) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["type"].endswith(document["code"])
    assert document["detail"]
    return document["status"], document["code"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"metadata": ' + b"[" * 33 + b"]" * 33 + b"}", (422, "json-invalid")),
        (b'{"metadata": {"a": NaN}}', (422, "json-invalid")),
        (b'{"ttl_s": 60, "ttl_s": 61}', (422, "json-invalid")),
        (rb'{"metadata": {"a": "\ud800"}}', (422, "json-invalid")),
        (rb'{"metadata": {"a": "\u0000"}}', (422, "json-invalid")),
        (b'{"metadata": {"a": "\xff"}}', (400, "body-not-utf-8")),
        (b"\xff\xfe{\x00}\x00", (400, "body-not-utf-8")),
        (b"{", (422, "json-invalid")),
        (b" ", (422, "json-invalid")),
        (b'{"metadata": {"a": "%s"}}' % (b"x" * limits.BODY_BYTES_MAX), (413, "body-too-large")),
    ],
)
async def test_a_body_that_is_not_one_clear_json_value_is_refused(
    served: Served, body: bytes, expected: tuple[int, str]
):
    response = await served.client.post("/v1/sessions", content=body, headers=JSON)

    assert problem(response) == expected


async def test_a_body_of_exactly_the_limit_is_read(served: Served):
    frame = len('{"metadata": "" }')
    body = '{"metadata": "' + "x" * (limits.BODY_BYTES_MAX - frame) + '" }'

    response = await served.client.post("/v1/sessions", content=body, headers=JSON)

    assert len(body) == limits.BODY_BYTES_MAX
    assert problem(response) == (422, "request-invalid")


async def test_a_body_without_a_length_is_counted_as_it_comes(served: Served):
    async def chunks():
        for _ in range(10):
            yield b" " * 32_768

    response = await served.client.post("/v1/sessions", content=chunks(), headers=JSON)

    assert problem(response) == (413, "body-too-large")


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": ""},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {"content-type": "text/plain", "cookie": "session=1"},
    ],
)
async def test_only_plain_json_is_taken(served: Served, headers: dict[str, str]):
    response = await served.client.post("/v1/sessions", content=b"{}", headers=headers)

    assert problem(response)[0] == 415


async def test_json_with_its_charset_named_is_json(served: Served):
    response = await served.client.post(
        "/v1/sessions", content=b"{}", headers={"content-type": 'Application/JSON; charset="UTF-8"'}
    )

    assert response.status_code == 201


async def test_headers_and_urls_over_their_limits_are_refused(served: Served):
    big = await served.client.get(
        "/v1/sessions", headers={"last-event-id": "1" * limits.HEADER_BYTES_MAX}
    )
    long = await served.client.get("/v1/sessions?cursor=" + "1" * limits.URL_BYTES_MAX)

    assert problem(big) == (431, "headers-too-large")
    assert problem(long) == (414, "url-too-long")


async def test_a_get_with_a_body_is_refused(served: Served):
    """Unread, it would hide the end of the connection from an open stream."""
    response = await served.client.request("GET", "/v1/sessions", content=b"{}", headers=JSON)

    assert problem(response) == (400, "body-unexpected")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/sessions/", 404),
        ("GET", "/docs", 404),
        ("PUT", "/v1/sessions", 405),
        ("TRACE", "/v1/sessions", 405),
        ("POST", "/v1/sessions/s/stream", 405),
        ("OPTIONS", "/v1/sessions", 405),
    ],
)
async def test_what_is_not_there_is_a_problem_too(
    served: Served, method: str, path: str, status: int
):
    response = await served.client.request(method, path)

    assert problem(response)[0] == status
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n",
        b"POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n"
        b"transfer-encoding: chunked\r\n\r\n{}",
        b"BREW / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_answered_as_a_problem_and_closed(
    served: Served, request_: bytes
):
    answer = await served.raw(request_)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["code"] == "http-invalid"


async def test_a_header_that_never_ends_is_not_kept(served: Served):
    flood = b"GET / HTTP/1.1\r\nx: " + b"x" * (protocol.HEADER_BYTES_HARD_MAX + 1)

    answer = await served.raw(flood)

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"] == "The header is too large."


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nhost: localhost\r\n"])
async def test_who_does_not_finish_a_header_in_time_is_hung_up_on(
    served: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes
):
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", 0.05)

    assert await served.raw(sent) == b""


async def test_the_header_deadline_does_not_end_a_served_connection(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)

    for _ in range(2):
        writer.write(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await reader.readuntil(b'{"status":"ok"}')
        await asyncio.sleep(0.1)  # longer than the deadline: nothing may happen

    writer.close()


async def test_a_body_that_trickles_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "BODY_TIMEOUT_S", 0.05)

    answer = await served.raw(
        b"POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: 100\r\n\r\n{"
    )

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body-too-slow"' in answer


async def test_a_caller_that_leaves_in_the_middle_of_its_body_asked_for_nothing(served: Served):
    """What arrived may happen to be whole JSON; the rest of it was still on its way."""
    _, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(
        b"POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: 100\r\n\r\n{}"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await eventually(lambda: len(served.server.server_state.connections) == 0)
    await eventually(lambda: len(served.server.server_state.tasks) == 0)

    assert (await served.client.get("/v1/sessions")).json()["items"] == []


async def test_a_body_that_says_it_is_too_large_is_not_waited_for(served: Served):
    answer = await served.raw(
        b"POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: 10000000000\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer
