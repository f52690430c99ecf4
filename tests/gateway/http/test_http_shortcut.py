"""Streams answered past the web framework, and by it: nobody can tell which."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Header, HTTPException, Request

from holdfast.events.catalog.run import RunCompleted
from holdfast.events.store import RunStatus
from holdfast.gateway import shortcut
from holdfast.gateway.principal import Principal, principal
from tests.gateway.http.conftest import WORKFLOWS, Served, serving, settings_for_tests
from tests.gateway.http.frames import until

ORIGIN = ("origin", "https://app.example")

PATHS = [
    "/v1/sessions/s/stream",
    "/v1/sessions/s/stream?",
    "/v1/sessions/s/stream?after=0",
    "/v1/sessions/s/stream?after=1-ab",
    "/v1/sessions/s/stream?after=99",
    "/v1/sessions/s/stream?after=",
    "/v1/sessions/s/stream?after",
    "/v1/sessions/s/stream?after=+1",
    "/v1/sessions/s/stream?after=%31",
    "/v1/sessions/s/stream?after=1&after=1",
    "/v1/sessions/s/stream?&&after=1&",
    "/v1/sessions/s/stream?types=session.*&after=0",
    "/v1/sessions/s/stream?types=session.*,run.completed",
    "/v1/sessions/s/stream?types=a%20b",
    "/v1/sessions/s/stream?types=a+b",
    "/v1/sessions/s/stream?types=",
    "/v1/sessions/s/stream?agent=a%C3%A9",
    "/v1/sessions/s/stream?agent=",
    "/v1/sessions/s/stream?other=1&after=1",
    "/v1/sessions/s/stream?after=1=2",
    "/v1/sessions/a.b-c_d/stream",
    "/v1/sessions/a%2Eb-c_d/stream",
    "/v1/sessions/s%2Fx/stream",
    "/v1/sessions/s/stream/",
    "/v1/sessions//stream",
    "//v1/sessions/s/stream",
    "/v1/sessions/s%00/stream",
    "/v1/sessions/none/stream",
    "/v1/sessions/gone/stream",
    "/v1/runs/RUN/stream",
    "/v1/runs/RUN/stream?after=3",
    "/v1/runs/RUN/stream?after=99&types=a",
    "/v1/runs/RUN/stream?agent=a&agent=b",
    "/v1/runs/RUN/stream?after=x",
    "/v1/runs/none/stream",
    "/v1/runs/n:o/stream",
    "/v1/workflows/s/stream",
]
HEADERS: list[list[tuple[str, Any]]] = [
    [("last-event-id", "1")],
    [("last-event-id", "1-a"), ("x", "y")],
    [("last-event-id", "")],
    [("last-event-id", "1"), ("last-event-id", "1")],
    [("last-event-id", b"\xb2")],
    [ORIGIN],
    [("origin", "https://evil.example")],
    [("host", "evil.example")],
    [("x-user", "ann")],
    [("x-request-id", "mine")],
    [("cookie", "a" * 20_000)],
    [("accept", "application/json")],
]

# What a response has of its own moment.
OWN_FIELDS = {"date", "x-request-id"}
OWN_WORDS = re.compile(rb'"request_id":"[^"]*"|retry: \d+')


async def by_framework(x_user: Annotated[str | None, Header()] = None) -> Principal:
    """As `principal`; what it takes only the framework can find."""
    return Principal("local", x_user)


async def by_shortcut(request: Request) -> Principal:
    return Principal("local", request.headers.get("x-user"))


@pytest.fixture
async def both() -> AsyncIterator[Served]:
    async with serving(settings_for_tests(cors_origins=ORIGIN[1], streams_max=20)) as served:
        await served.store.registry.announce("worker", WORKFLOWS)
        for name in ("s", "gone", "a.b-c_d"):
            await served.session(name)
        _, session = await served.session("runs")
        run = await served.run("runs")
        completed = RunCompleted(result=1, duration_ms=1)
        await served.worker.set_run(session, run["run_id"], RunStatus.COMPLETED, completed)
        served.app.state.run_id = run["run_id"]
        await served.client.delete("/v1/sessions/gone")
        await served.worker.work()
        yield served


async def answer(
    served: Served, path: str, headers: list[tuple[str, Any]]
) -> tuple[int, dict[str, str], bytes]:
    async with served.client.stream("GET", path, headers=headers) as response:
        fields = {k: v for k, v in response.headers.items() if k not in OWN_FIELDS}
        if "chunked" in response.headers.get("transfer-encoding", ""):
            body = response.aiter_raw()
            said = repr(await until(body, b"caught-up")).encode()
            await body.aclose()  # type: ignore[attr-defined]
        else:
            said = await response.aread()
    said = OWN_WORDS.sub(b"", said)
    return response.status_code, fields, re.sub(rb"b'retry': b'\d+'|'retry': b'\d+'", b"", said)


async def test_the_shortcut_answers_every_request_as_the_framework_does(both: Served):
    paths = [path.replace("RUN", both.app.state.run_id) for path in PATHS]
    asked: list[tuple[str, list[tuple[str, Any]]]] = [
        *((path, []) for path in paths),
        *(("/v1/sessions/s/stream?after=0", headers) for headers in HEADERS),
    ]
    answers: list[Any] = []
    for who in (by_framework, by_shortcut):
        both.app.dependency_overrides[principal] = who
        answers.append([await answer(both, path, headers) for path, headers in asked])

    for request, framework, past_it in zip(asked, *answers, strict=True):
        assert framework == past_it, request


async def test_both_count_under_the_same_route(both: Served):
    for who in (by_framework, by_shortcut):
        both.app.dependency_overrides[principal] = who
        await answer(both, "/v1/sessions/none/stream", [])
        await answer(both, "/v1/runs/none/stream", [])

    text = (await both.client.get("/metrics")).text
    for route in ("/v1/sessions/{session_id}/stream", "/v1/runs/{run_id}/stream"):
        counted = f'holdfast_http_requests_total{{method="GET",route="{route}",status="404"}} 2.0'
        assert counted in text


async def test_a_principal_of_a_request_is_asked_by_the_shortcut_and_others_by_the_framework():
    """What somebody's own principal takes, and raises, is what decides; it knows the route's parameters, too."""
    asked: list[str] = []

    async def plain(request: Request) -> Principal:
        asked.append(request.path_params["session_id"])
        if "x-user" not in request.headers:
            raise HTTPException(401, "who are you?", {"www-authenticate": "Basic"})
        return Principal("local", request.headers["x-user"])

    def prepare(app: FastAPI) -> None:
        app.dependency_overrides[principal] = plain

    async with serving(settings_for_tests(), prepare=prepare) as served:
        refused = await served.client.get("/v1/sessions/s/stream")
        unknown = await served.client.get("/v1/sessions/s/stream", headers={"x-user": "ann"})

    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Basic")
    assert refused.headers["content-type"] == "application/problem+json"
    assert unknown.status_code == 404
    assert asked == ["s", "s"]


def test_only_a_coroutine_of_a_request_is_a_principal_that_needs_no_framework():
    def blocking(request: Request) -> Principal: ...
    async def two(request: Request, more: int) -> Principal: ...
    async def unknown(request: "Nowhere") -> Principal: ...  # type: ignore[name-defined] # noqa: F821

    found = [
        shortcut.is_plain(who)
        for who in (by_shortcut, principal, by_framework, blocking, two, unknown)
    ]

    assert found == [True, True, False, False, False, False]
