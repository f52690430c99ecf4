"""A gateway on a real uvicorn at a free port, over the in-memory twins, and a hand that works its sessions.

(httpx's ASGI transport hands a response over when it is complete, which a stream never is.)
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import structlog
from fastapi import FastAPI

from holdfast.events.clock import SystemClock
from holdfast.events.store import Store, WorkflowInfo
from holdfast.events.store_memory import MemoryStore
from holdfast.events.stream_memory import MemoryStream
from holdfast.gateway.app import Backends, build
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.server import GatewayServer, server_config
from holdfast.gateway.settings import Settings, load_settings
from tests.gateway.http.worker import Worker

ECHO_SCHEMA = {
    "type": "object",
    "properties": {"requirement": {"type": "string", "minLength": 1}, "n": {"type": "integer"}},
    "required": ["requirement"],
    "additionalProperties": False,
}
WORKFLOWS = (
    WorkflowInfo(name="echo", version="1", input_schema=ECHO_SCHEMA, description="says it again"),
    WorkflowInfo(name="free", version="1", input_schema=None),
    WorkflowInfo(name="broken", version="1", input_schema=None, load_error="No module named 'x'"),
)


@dataclass
class Served:
    """A gateway that is up."""

    app: FastAPI
    gateway: Gateway
    server: GatewayServer
    store: Store
    stream: MemoryStream
    worker: Worker
    url: str
    client: httpx2.AsyncClient

    async def session(self, session_id: str | None = None) -> tuple[str, int]:
        """Create a session whose first event is recorded; return its id and number."""
        response = await self.client.post(
            "/v1/sessions", json={"session_id": session_id} if session_id else {}
        )
        assert response.status_code == 201, response.text
        await self.worker.work()
        found = await self.store.desk.session("local", response.json()["session_id"])
        return found.session_id, found.session

    async def run(self, session_id: str, **more: Any) -> dict[str, Any]:
        """Ask for a run of `free` and let the worker accept it."""
        response = await self.client.post(
            f"/v1/sessions/{session_id}/runs", json={"workflow": "free", **more}
        )
        assert response.status_code == 202, response.text
        await self.worker.work()
        return response.json()

    async def raw(self, request: bytes) -> bytes:
        """Send bytes on a fresh connection and return all that comes back until it is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(request)
        try:
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks() -> None:
    # structlog's own show every local variable, which takes ten seconds for one of a web application.
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.LogfmtRenderer()]
    )


Serve = Callable[..., AbstractAsyncContextManager[Served]]


def settings_for_tests(**given: Any) -> Settings:
    return load_settings(
        **{
            "database_url": "postgresql://nobody@127.0.0.1/none",
            "redis_url": "redis://127.0.0.1:1/0",
            "port": 0,
            "drain_s": 0.2,
            **given,
        }
    )


@asynccontextmanager
async def serving(
    settings: Settings,
    *,
    store: Store | None = None,
    prepare: Callable[[FastAPI], None] | None = None,
) -> AsyncGenerator[Served]:
    """Serve over memory until the block is left."""
    store = store or MemoryStore(SystemClock())
    stream = MemoryStream()
    backends = Backends(store, stream, stream, stream.wakes())
    app = build(settings, lambda: nullcontext(backends), chance=random.Random(7))
    if prepare is not None:
        prepare(app)
    server = GatewayServer(server_config(settings, app), lambda: app.state.gateway)
    server.capture_signals = nullcontext  # signals are pytest's here
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            assert not task.done(), task
            await asyncio.sleep(0.005)
    url = f"http://127.0.0.1:{server.port}"
    worker = Worker(store, stream, [item.name for item in WORKFLOWS])
    try:
        async with httpx2.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
            yield Served(app, app.state.gateway, server, store, stream, worker, url, client)
    finally:
        server.should_exit = True
        async with asyncio.timeout(20):
            await task


@pytest.fixture
def serve() -> Serve:
    """Start a gateway with other settings than `served` has."""

    def start(**given: Any) -> AbstractAsyncContextManager[Served]:
        return serving(settings_for_tests(**given))

    return start


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    """A gateway with the settings that are shipped, whose workers know `echo`, `free` and `broken`."""
    async with serving(settings_for_tests(cors_origins="https://app.example")) as served:
        await served.store.registry.announce("worker", WORKFLOWS)
        yield served
