"""The gateway as a process of its own, over a real Postgres and a real Redis."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import orjson
import pytest

from holdfast.events.store import WorkflowInfo
from holdfast.events.store_postgres import open_store
from tests.gateway.http.frames import named, parse, until
from tests.gateway.http.nasty import nasty_request

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

START_S = 30.0
DRAIN_S = 0.5

# About two seconds for each seed.
REQUESTS = 400


@asynccontextmanager
async def gateway(**variables: str) -> AsyncGenerator[tuple[Process, list[dict[str, Any]], str]]:
    """Start a gateway at a free port; yield its process, what it logs, and its address."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "holdfast.gateway",
        "--port=0",
        "--unsafe-dev",
        env={**env, "HOLDFAST_DRAIN_S": str(DRAIN_S), **variables},
        stdout=PIPE,
    )
    logged: list[dict[str, Any]] = []
    listening = asyncio.get_running_loop().create_future()

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            logged.append(orjson.loads(line))
            if logged[-1]["event"] == "gateway.listening":
                listening.set_result(logged[-1]["port"])

    reading = asyncio.create_task(read())
    try:
        async with asyncio.timeout(START_S):
            yield process, logged, f"http://127.0.0.1:{await listening}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def test_a_signal_drains_the_streams_and_ends_with_0(database_url: str, redis_url: str):
    """Every client is told when to come back, and its response ends whole."""
    where = {"HOLDFAST_DATABASE_URL": database_url, "HOLDFAST_REDIS_URL": redis_url}
    async with (
        gateway(**where) as (process, logged, url),
        httpx2.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        created = await client.post("/v1/sessions", json={"session_id": "s"})
        ready = (await client.get("/readyz")).json()
        async with client.stream("GET", "/v1/sessions/s/stream") as response:
            body = response.aiter_raw()
            first = await until(body, b"caught-up")
            process.send_signal(signal.SIGTERM)
            last = parse(b"".join([chunk async for chunk in body]))

        assert await process.wait() == 0
        assert created.status_code == 201
        assert ready["postgres"]["reachable"]
        assert ready["redis"]["connected"]
        assert named(first) == ["caught-up"]
        assert named(last) == ["drain"]
        assert "retry" in last[-1]
        facts = [line["event"] for line in logged]
        assert facts.index("gateway.draining") < facts.index("gateway.stopped")
        ended = next(line for line in logged if line["event"] == "subscription.ended")
        assert ended["ending"] == "drain"
        assert "Traceback" not in str(logged)


async def test_without_redis_a_gateway_starts_and_serves(database_url: str):
    where = {
        "HOLDFAST_DATABASE_URL": database_url,
        "HOLDFAST_REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
    }
    async with (
        gateway(**where) as (process, logged, url),
        httpx2.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        created = await client.post("/v1/sessions", json={"session_id": "s"})
        ready = await client.get("/readyz")
        async with client.stream("GET", "/v1/sessions/s/stream") as response:
            frames = await until(response.aiter_raw(), b"caught-up", within_s=10)
        process.send_signal(signal.SIGTERM)

        assert await process.wait() == 0
        assert created.status_code == 201
        assert (ready.status_code, ready.json()["redis"]) == (200, {"connected": False})
        assert named(frames) == ["caught-up"]
        assert "hunter2" not in str(logged)


# In this order: each finds what those before it left.
CALLS: list[tuple[str, Any, int]] = [
    ("POST sessions", {"session_id": "s", "metadata": {"k": 1}}, 201),
    ("POST sessions", {"session_id": "s"}, 409),
    ("GET sessions?limit=1", None, 200),
    ("GET sessions/s", None, 200),
    ("GET sessions/s/events?types=session.*", None, 200),
    ("GET sessions/s/state", None, 200),
    ("GET sessions/s/messages", None, 200),
    ("GET sessions/s/replay?speed=0", None, 200),
    ("GET sessions/s/stream?types=%C3%BC", None, 400),
    ("GET sessions/%00", None, 404),
    ("GET runs/r", None, 404),
    ("GET runs/r/stream", None, 404),
    ("POST runs/r/cancel", None, 404),
    ("POST runs/r/input", {"input_id": "😀", "value": {}}, 404),
    ("POST runs", {"workflow": "none"}, 422),
    ("GET workflows", None, 200),
    ("DELETE sessions/s?reason=asked", None, 202),
]


async def test_the_calls_are_the_same_over_postgres(database_url: str, redis_url: str):
    """The twins keep the same rules; what only a driver knows (encodings, casts, statuses) shows itself here."""
    where = {"HOLDFAST_DATABASE_URL": database_url, "HOLDFAST_REDIS_URL": redis_url}
    async with (
        gateway(**where) as (_, logged, url),
        httpx2.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        answers = [
            (
                call,
                (
                    await client.request(call.split()[0], f"/v1/{call.split()[1]}", json=body)
                ).status_code,
            )
            for call, body, _ in CALLS
        ]

        assert answers == [(call, status) for call, _, status in CALLS]
        assert not [line for line in logged if line["level"] == "error"]


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_that_is_sent_is_answered_with_a_5xx(
    database_url: str, redis_url: str, seed: int
):
    """What Postgres would choke on is refused at the door, with the reason."""
    store = await open_store(database_url)
    await store.registry.announce("w", [WorkflowInfo(name="free", version="1", input_schema=None)])
    await store.close()
    chance = random.Random(seed)
    where = {"HOLDFAST_DATABASE_URL": database_url, "HOLDFAST_REDIS_URL": redis_url}
    async with (
        gateway(**where) as (_, logged, url),
        httpx2.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        await client.post("/v1/sessions", json={"session_id": "s"})
        run = await client.post("/v1/sessions/s/runs", json={"workflow": "free"})
        known = {"session_id": "s", "run_id": run.json()["run_id"]}
        seen: set[int] = set()
        for _ in range(REQUESTS):
            request = nasty_request(chance, **known)
            async with client.stream(**request) as response:
                seen.add(response.status_code)
                assert response.status_code < 500, request
                if response.status_code >= 400:
                    assert response.headers["content-type"] == "application/problem+json", request
                    assert orjson.loads(await response.aread())["code"]

        assert {200, 404, 422} <= seen  # it got past the door, too
        assert seen & {201, 202}
        assert not [line for line in logged if line["level"] == "error"]
