"""A crowd at the door: some go in, the others wait in order, and nobody else notices."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from fastapi import FastAPI, Request

from holdfast.events.store import Located, SessionName
from holdfast.gateway.gateway import CONNECTS_MAX, FOLDS_MAX, FOLDS_WAITING_MAX
from holdfast.gateway.principal import Principal, principal
from tests.gateway.http.conftest import WORKFLOWS, Served, serving, settings_for_tests
from tests.gateway.http.frames import eventually, parse, until

WAITING = 20


async def metric(served: Served, name: str) -> float:
    text = (await served.client.get("/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])


class Door:
    """Holds every look-up of a session until it is opened."""

    def __init__(self, served: Served) -> None:
        self.opened = asyncio.Event()
        self.asked = 0
        self._locate = served.store.desk.locate

    async def __call__(self, names: Collection[SessionName]) -> Mapping[SessionName, Located]:
        self.asked += 1
        await self.opened.wait()
        return await self._locate(names)


class Raw:
    """A client on a socket of its own."""

    def __init__(self, served: Served, path: str = "/v1/sessions/s/stream") -> None:
        self._served, self._path = served, path

    async def connect(self) -> "Raw":
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self._served.server.port
        )
        self.writer.write(f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return self

    async def read(self, wanted: bytes) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.readuntil(wanted)

    def hang_up(self) -> None:
        self.writer.transport.abort()


@pytest.fixture
async def crowd(served: Served, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Raw]]:
    """As many as are let in, and some in line; `door` is closed."""
    await served.session("s")
    # Nobody is turned away by the time that this machine takes.
    monkeypatch.setattr(served.gateway.admission, "_patience_s", 60.0)
    monkeypatch.setattr(served.store.desk, "locate", Door(served))
    clients = [await Raw(served).connect() for _ in range(CONNECTS_MAX + WAITING)]
    await eventually(lambda: served.gateway.admission.waiting == WAITING)
    yield clients
    for client in clients:
        client.hang_up()


def door(served: Served) -> Door:
    found = served.store.desk.locate
    assert isinstance(found, Door)
    return found


async def test_so_many_connects_are_worked_at_once_and_ask_one_question(
    served: Served, crowd: list[Raw]
):
    assert served.gateway.admission.inside == CONNECTS_MAX
    assert await metric(served, "holdfast_sse_waiting") == WAITING
    assert await metric(served, "holdfast_sse_connecting") == CONNECTS_MAX
    assert door(served).asked == 1
    assert (await served.client.get("/livez")).status_code == 200

    door(served).opened.set()

    for client in crowd:
        assert b"200" in await client.read(b"\r\n")
        await client.read(b"event: caught-up")
    assert await metric(served, "holdfast_sse_connecting") == 0
    # Those that were in line all came in together.
    assert door(served).asked <= 3


async def test_who_gives_up_in_line_leaves_nothing_behind(served: Served, crowd: list[Raw]):
    tasks = len(asyncio.all_tasks())

    for client in crowd[CONNECTS_MAX:]:
        client.hang_up()

    await eventually(lambda: served.gateway.admission.waiting == 0)
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks - WAITING)
    door(served).opened.set()
    for client in crowd[:CONNECTS_MAX]:
        await client.read(b"event: caught-up")
    assert served.gateway.streams == CONNECTS_MAX
    assert await metric(served, 'holdfast_sse_refused_total{reason="late"}') == 0


async def test_a_drain_tells_who_waits_in_line_to_come_back(served: Served, crowd: list[Raw]):
    served.server.should_exit = True

    for client in crowd[CONNECTS_MAX:]:
        answer = await client.read(b"retry: ") + await client.read(b"\n\n")
        assert answer.startswith(b"HTTP/1.1 200")
        retry = int(re.findall(rb"(\d+)\n\n", answer)[0])
        assert 1500 <= retry <= 4000
    door(served).opened.set()


async def test_who_waits_too_long_is_told_to_come_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    await served.session("s")
    monkeypatch.setattr(served.gateway.admission, "_patience_s", 0.2)
    monkeypatch.setattr(served.store.desk, "locate", Door(served))
    held = [await Raw(served).connect() for _ in range(CONNECTS_MAX)]
    await eventually(lambda: served.gateway.admission.inside == CONNECTS_MAX)

    response = await served.client.get("/v1/sessions/s/stream")

    assert response.status_code == 200
    assert [list(frame) for frame in parse(response.content)] == [["retry"]]
    assert await metric(served, 'holdfast_sse_refused_total{reason="late"}') == 1
    for client in held:
        client.hang_up()
    door(served).opened.set()


async def test_a_replay_holds_the_door_no_longer_than_it_takes_to_begin(served: Served):
    await served.session("s")
    clients = [
        await Raw(served, "/v1/sessions/s/replay?speed=0.1&after=0").connect() for _ in range(3)
    ]

    for client in clients:
        await client.read(b"retry: ")

    assert served.gateway.admission.inside == 0
    for client in clients:
        client.hang_up()


async def test_folds_in_a_line_that_is_full_are_429_with_the_time_to_come_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    await served.session("s")
    read, freed = served.store.reader.read, asyncio.Event()

    async def held(*given: Any, **more: Any) -> Any:
        await freed.wait()
        return await read(*given, **more)

    monkeypatch.setattr(served.store.reader, "read", held)
    async with asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(served.client.get("/v1/sessions/s/state"))
            for _ in range(FOLDS_MAX + FOLDS_WAITING_MAX)
        ]
        await eventually(lambda: served.gateway.folds.waiting == FOLDS_WAITING_MAX)
        refused = await served.client.get("/v1/sessions/s/messages")
        freed.set()

    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "too-many-requests"
    assert 1 <= int(refused.headers["retry-after"]) <= 5
    assert {task.result().status_code for task in asked} == {200}


# --- of whom there may be how many -----------------------------------------------------------------


def known(app: FastAPI) -> None:
    """Let a header say who somebody is."""

    async def who(request: Request) -> Principal:
        return Principal("local", request.headers.get("x-user"))

    app.dependency_overrides[principal] = who


async def opened(stack: AsyncExitStack, served: Served, path: str, **headers: str) -> bool:
    """Ask for a stream and keep it; tell whether it was served."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await stack.enter_async_context(served.client.stream("GET", path, headers=names))
    body = response.aiter_raw()
    stack.push_async_callback(body.aclose)  # type: ignore[attr-defined]
    if "content-length" in response.headers:
        (frame,) = parse(await anext(body))
        assert 5_000 <= int(frame["retry"]) <= 15_000
        return False
    await until(body, b"caught-up")
    return True


async def test_a_principal_has_so_many_streams_of_a_session_and_others_have_theirs():
    settings = settings_for_tests(streams_per_session_max=2, streams_per_principal_max=3)
    async with serving(settings, prepare=known) as served:
        for name in ("s", "t", "u"):
            await served.session(name)
        async with AsyncExitStack() as stack:
            ann = [
                await opened(stack, served, "/v1/sessions/s/stream", x_user="ann") for _ in "123"
            ]
            bob = await opened(stack, served, "/v1/sessions/s/stream", x_user="bob")
            other = await opened(stack, served, "/v1/sessions/t/stream", x_user="ann")
            too_many = await opened(stack, served, "/v1/sessions/u/stream", x_user="ann")
            refused = {
                why: await metric(served, f'holdfast_sse_refused_total{{reason="{why}"}}')
                for why in ("session", "principal", "address")
            }
        await eventually(lambda: served.gateway.streams == 0)
        async with AsyncExitStack() as stack:
            again = await opened(stack, served, "/v1/sessions/s/stream", x_user="ann")

    assert ann == [True, True, False]
    assert (bob, other, too_many, again) == (True, True, False, True)
    assert refused == {"session": 1, "principal": 1, "address": 0}


async def test_an_address_behind_a_proxy_has_so_many_streams_and_this_machine_any_number():
    async with serving(settings_for_tests(streams_per_address_max=1)) as served:
        await served.session("s")
        async with AsyncExitStack() as stack:
            path = "/v1/sessions/s/stream"
            local = [await opened(stack, served, path) for _ in range(3)]
            far = [
                await opened(stack, served, path, x_forwarded_for=address)
                for address in ("198.51.100.7", "198.51.100.7", "198.51.100.8")
            ]

    assert local == [True] * 3
    assert far == [True, False, True]


async def test_a_post_over_a_limit_says_where_its_run_can_be_followed_later():
    settings = settings_for_tests(streams_per_session_max=1)
    async with serving(settings, prepare=known) as served:
        await served.store.registry.announce("w", WORKFLOWS)
        await served.session("s")
        async with AsyncExitStack() as stack:
            assert await opened(stack, served, "/v1/sessions/s/stream", x_user="ann")
            response = await served.client.post(
                "/v1/sessions/s/runs",
                json={"workflow": "free"},
                headers={"accept": "text/event-stream", "x-user": "ann"},
            )

    assert response.status_code == 200
    assert [list(frame) for frame in parse(response.content)] == [["retry"]]
    assert response.headers["content-location"].startswith("/v1/runs/")


async def test_a_stream_that_never_begins_is_counted_no_more(served: Served):
    """Unknown sessions, ended runs: a seat that stayed taken would be lost for as long as the process lives."""
    await served.store.registry.announce("w", WORKFLOWS)
    await served.session("s")
    served.store.reader.pulses = no_pulses  # type: ignore[method-assign]

    response = await served.client.get("/v1/sessions/s/stream")

    assert response.status_code == 404
    assert served.gateway.streams == 0


async def no_pulses(_: Any) -> dict[int, Any]:
    return {}
