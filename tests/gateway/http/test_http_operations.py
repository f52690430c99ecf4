import asyncio
import socket
import time
from typing import Any

import pytest
from fastapi import FastAPI

from holdfast.events.errors import StoreUnavailable
from holdfast.gateway.problems import PROBLEM_MEDIA_TYPE
from holdfast.gateway.server import SEND_BUFFER_BYTES
from holdfast.processes.link import SupervisorSilent
from tests.gateway.http.conftest import Serve, Served, serving, settings_for_tests
from tests.gateway.http.frames import eventually


def away(*_: Any, **__: Any) -> Any:
    raise StoreUnavailable("Postgres: password=hunter2 refused")


async def test_alive_ready_and_counted(served: Served):
    alive = await served.client.get("/livez")
    ready = await served.client.get("/readyz")
    metrics = await served.client.get("/metrics")

    assert alive.json() == {"status": "ok"}
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert ready.json()["postgres"]["reachable"] is True
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert (
        'holdfast_http_requests_total{method="GET",route="/livez",status="200"} 1.0' in metrics.text
    )
    assert 'holdfast_sse_disconnects_total{reason="slow"} 0.0' in metrics.text


async def test_one_of_several_processes_tells_what_all_count_or_nothing(served: Served):
    """What it counts itself, in the place of all, would make every counter jump."""

    class Link:
        text = b"counted_by_all 1\n"

        async def everyone(self) -> bytes:
            if not self.text:
                raise SupervisorSilent
            return self.text

    link = served.app.state.link = Link()
    of_all = await served.client.get("/metrics")
    link.text = b""
    silent = await served.client.get("/metrics")

    assert (of_all.status_code, of_all.text) == (200, "counted_by_all 1\n")
    assert silent.status_code == 503
    assert "holdfast_" not in silent.text


async def test_readiness_reports_the_store_and_is_decided_by_the_drain_alone(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    """All replicas lose a database at the same moment: nobody would be left to tell the clients to wait."""
    monkeypatch.setattr(served.store, "health", away)

    without = await served.client.get("/readyz")
    served.gateway.draining = True
    draining = await served.client.get("/readyz")

    assert (without.status_code, without.json()["postgres"]["reachable"]) == (200, False)
    assert (draining.status_code, draining.json()["status"]) == (503, "draining")


async def test_a_store_that_hangs_and_cannot_be_cancelled_does_not_hold_up_readiness(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    """The driver waits for Postgres to confirm a cancel: a stopped one never does."""
    freed = asyncio.Event()
    asked = 0

    async def hang() -> Any:
        nonlocal asked
        asked += 1
        await asyncio.shield(freed.wait())
        raise StoreUnavailable("too late")

    monkeypatch.setattr(served.store, "health", hang)
    begun = time.monotonic()

    ready = [await served.client.get("/readyz") for _ in range(2)]

    assert time.monotonic() - begun < 1.0
    assert [answer.json()["postgres"]["reachable"] for answer in ready] == [False, False]
    assert asked == 1
    freed.set()


async def test_the_kernel_holds_little_for_a_reader_that_stalls(served: Served):
    _, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    await eventually(lambda: len(served.server.server_state.connections) == 1)

    (connection,) = served.server.server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    writer.close()

    size = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert SEND_BUFFER_BYTES <= size <= 2 * SEND_BUFFER_BYTES  # Linux shows the double


async def test_an_absent_store_is_a_503_that_says_when_and_not_where(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(served.store.desk, "sessions", away)

    response = await served.client.get("/v1/sessions")

    assert (response.status_code, response.json()["code"]) == (503, "store-unavailable")
    assert 1 <= int(response.headers["retry-after"]) <= 3
    assert "hunter2" not in response.text


# protocol P22
async def test_a_bug_is_a_500_with_a_request_id_and_nothing_else(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    def bug(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret thing")

    monkeypatch.setattr(served.store.desk, "sessions", bug)

    response = await served.client.get("/v1/sessions", headers={"x-request-id": "req-1"})

    assert response.status_code == 500
    assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert response.json()["request_id"] == response.headers["x-request-id"] == "req-1"
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_every_response_carries_the_protective_headers(served: Served):
    for path in ("/v1/sessions", "/v1/sessions/unknown", "/livez", "/openapi.json", "/nothing"):
        response = await served.client.get(path)

        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-request-id"]
        assert "server" not in response.headers
        if path.startswith("/v1"):
            assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("given", ["a" * 65, "a b", "ü", ""])
async def test_a_request_id_that_could_confuse_a_log_is_replaced(served: Served, given: str):
    response = await served.client.get("/livez", headers={"x-request-id": given.encode()})

    assert response.headers["x-request-id"] != given
    assert len(response.headers["x-request-id"]) == 32


async def test_an_allowed_origin_may_read_and_send(served: Served):
    origin = {"origin": "https://app.example"}
    preflight = await served.client.options(
        "/v1/runs", headers={**origin, "access-control-request-method": "POST"}
    )
    answer = await served.client.post("/v1/sessions", headers=origin)
    problem = await served.client.get("/v1/sessions/unknown/stream", headers=origin)

    assert preflight.status_code == 204
    allowed = preflight.headers["access-control-allow-headers"]
    assert {"last-event-id", "idempotency-key", "content-type"} <= set(allowed.split(", "))
    assert answer.status_code == 201
    for response in (preflight, answer, problem):
        assert response.headers["access-control-allow-origin"] == "https://app.example"
        assert response.headers["vary"] == "origin"
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert {"content-location", "location", "retry-after", "x-request-id"} <= exposed


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "["])
async def test_another_origin_can_neither_read_nor_change(served: Served, origin: str):
    """A browser sends a bodiless POST without asking first: its effect would happen though nobody reads the answer."""
    headers = {"origin": origin}
    preflight = await served.client.options(
        "/v1/runs", headers={**headers, "access-control-request-method": "POST"}
    )
    change = await served.client.post("/v1/sessions", headers=headers)
    read = await served.client.get("/v1/sessions", headers=headers)

    assert (preflight.status_code, change.status_code) == (403, 403)
    assert change.json()["code"] == "origin-refused"
    assert read.json()["items"] == []
    for response in (preflight, change, read):
        assert "access-control-allow-origin" not in response.headers


async def test_the_gateways_own_pages_need_no_allow_list(serve: Serve):
    async with serve() as served:
        response = await served.client.post("/v1/sessions", headers={"origin": served.url})

        assert response.status_code == 201
        assert "vary" not in response.headers


async def test_the_openapi_document_describes_every_answer(served: Served):
    document = (await served.client.get("/openapi.json")).json()

    operations = [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    assert len(operations) >= 19
    for path, method, operation in operations:
        for status, response in operation["responses"].items():
            where = f"{method} {path} {status}"
            if path == "/metrics" or status == "204":
                continue
            for media_type, content in response["content"].items():
                assert content["itemSchema" if "event-stream" in media_type else "schema"], where
                if int(status) >= 400 and path != "/readyz":
                    assert media_type == PROBLEM_MEDIA_TYPE, where
        if method == "post" and not path.endswith("/cancel"):
            assert "application/json" in operation["requestBody"]["content"], path
    assert "HTTPValidationError" not in document["components"]["schemas"]
    names = {
        p["name"]
        for p in document["paths"]["/v1/sessions/{session_id}/stream"]["get"]["parameters"]
    }
    assert names == {"session_id", "after", "last-event-id", "types", "agent"}


async def test_a_stranger_without_a_dependency_on_the_principal_does_not_exist():
    """Every route below /v1 asks who is calling: overriding that one dependency closes them all."""
    from holdfast.gateway.principal import principal
    from holdfast.gateway.problems import Problem

    def nobody() -> None:
        raise Problem(401, "credentials-missing", "say who you are")

    def prepare(app: FastAPI) -> None:
        app.dependency_overrides[principal] = nobody

    async with serving(settings_for_tests(), prepare=prepare) as served:
        document = (await served.client.get("/openapi.json")).json()
        for path, item in document["paths"].items():
            if not path.startswith("/v1/"):
                continue
            for method in item:
                url = path.replace("{session_id}", "s").replace("{run_id}", "r")
                body = (
                    {"json": {"workflow": "w", "input_id": "i", "value": 1}}
                    if method == "post"
                    else {}
                )

                response = await served.client.request(method, url, **body)

                assert response.status_code == 401, (method, path)
