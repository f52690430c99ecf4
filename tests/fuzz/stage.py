"""A gateway and a worker over one log, without sockets, and the hand that asks them: one stage for many examples.

Every example has tenants of its own, so that nothing has to be built or emptied in between.
"""

# pyright: reportPrivateUsage=false

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NoReturn

import asyncpg
import httpx2
from fastapi import Request

from holdfast.events.store import Desk
from holdfast.events.store_memory import MemoryStore
from holdfast.events.store_postgres import open_store
from holdfast.events.stream_memory import MemoryStream
from holdfast.events.stream_redis import RedisStream
from holdfast.gateway.app import Backends, build
from holdfast.gateway.principal import Principal, principal
from holdfast.orchestrator.app import PostgresClaimsConnection
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.lease import SharedClaims
from holdfast.orchestrator.workflow import workflow
from tests.gateway.http.conftest import settings_for_tests
from tests.orchestrator.harness import World

# Above any time that a worker needs for a run of three events, on a machine that does ten other things.
SETTLE_S = 20.0

# How often it is looked whether a worker has done its part.
LOOK_S = 0.001

ANSWER_SCHEMA = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}


@workflow("say")
async def say(ctx: WorkflowContext, input: str) -> str:
    """Say it and end."""
    return await ctx.message(input)


@workflow("ask")
async def ask(ctx: WorkflowContext, input: str) -> Any:
    """Wait for a person, then say it."""
    value = await ctx.input("go on?", schema=ANSWER_SCHEMA)
    await ctx.message(input)
    return value


@workflow("fail")
async def fail(ctx: WorkflowContext, input: str) -> None:
    """Break."""
    raise ValueError(input)


@workflow("hold", max_concurrent=1)
async def hold(ctx: WorkflowContext, input: str) -> None:
    """Stand still at work until somebody lets go, then say it; one at a time, whoever asked."""
    await released[ctx.run_id].wait()
    await ctx.message(input)


released: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
"""By run: set, a run of `hold` goes on."""

Expire = Callable[[str, str], Coroutine[Any, Any, None]]
Parts = tuple[httpx2.AsyncClient, Desk, Expire]


@dataclass
class Answer:
    """What the gateway said."""

    status: int
    body: Any
    headers: httpx2.Headers
    text: str

    @property
    def code(self) -> str | None:
        """The problem's code, if it is one."""
        return self.body.get("code") if self.status >= 400 else None


@dataclass
class Stage:
    """The gateway, the worker and a loop of their own; the hand is synchronous, as Hypothesis is."""

    runner: asyncio.Runner
    client: httpx2.AsyncClient
    desk: Desk
    expire: Expire
    examples: int = field(default=0)

    def call(
        self,
        tenant: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        key: str | None = None,
    ) -> Answer:
        """Ask, as `tenant`."""
        headers = {"x-tenant": tenant, "x-request-id": "same"}
        if key is not None:
            headers["idempotency-key"] = key
        body = {} if json is None else {"json": json}
        response = self.runner.run(self.client.request(method, path, headers=headers, **body))
        assert response.status_code < 500, response.text
        return Answer(response.status_code, response.json(), response.headers, response.text)

    def settle(self, tenant: str, session_id: str, status: str, runs: Mapping[str, str]) -> None:
        """Let the worker work until the session and its runs stand there, and its first event is recorded."""

        async def wait() -> None:
            seen: object = None
            deadline = time.monotonic() + SETTLE_S
            while time.monotonic() < deadline:
                info = await self.desk.session(tenant, session_id)
                found = {r.run_id: str(r.status) for r in await self.desk.runs(tenant, session_id)}
                seen = (str(info.status), found)
                if seen == (status, runs) and info.head:
                    return
                await asyncio.sleep(LOOK_S)
            raise AssertionError(f"not within {SETTLE_S:g} s: {seen}, but {(status, runs)}")

        self.runner.run(wait())


@asynccontextmanager
async def _memory() -> AsyncGenerator[tuple[World, Backends, Expire]]:
    store, stream = MemoryStore(), MemoryStream()
    # A database that was started long ago: leases that ran out may be taken over at once.
    store._state.started_at = store._state.started_at.replace(year=2000)

    async def expire(tenant: str, session_id: str) -> None:
        row = store._state.by_name[tenant, session_id]
        assert row.expires_at is not None
        row.expires_at = row.expires_at.replace(year=2000)

    world = World(store, stream, lambda _: SharedClaims(store.claims))
    yield world, Backends(store, stream, stream, stream.wakes()), expire
    await world.close()
    await stream.close()


@asynccontextmanager
async def _real(
    database_url: str, redis_url: str
) -> AsyncGenerator[tuple[World, Backends, Expire]]:
    store = await open_store(database_url, pool_max=6)
    stream = RedisStream.open(redis_url, log_id=store.log_id)

    async def expire(tenant: str, session_id: str) -> None:
        connection = await asyncpg.connect(database_url)
        try:
            done = await connection.execute(
                "update sessions set expires_at = now() - interval '1 second'"
                " where tenant = $1 and session_id = $2",
                tenant,
                session_id,
            )
        finally:
            await connection.close()
        assert done == "UPDATE 1"

    world = World(store, stream, lambda name: PostgresClaimsConnection(database_url, name))
    yield world, Backends(store, stream, stream, stream.wakes()), expire
    await world.close()
    await stream.close()
    await store.close()


@asynccontextmanager
async def _acting(
    opened: AbstractAsyncContextManager[tuple[World, Backends, Expire]],
) -> AsyncGenerator[Parts]:
    async with opened as (world, backends, expire):
        app = build(settings_for_tests(), lambda: nullcontext(backends))

        def caller(request: Request) -> Principal:
            return Principal(request.headers["x-tenant"])

        app.dependency_overrides[principal] = caller
        await world.worker(say, ask, fail, hold, poll_s=0.05, lease_s=30)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1"
            ) as client,
        ):
            yield client, backends.store.desk, expire


def _broken(task: asyncio.Task[None]) -> NoReturn:
    task.result()
    raise AssertionError("the stage was left before it was set")


@contextmanager
def stage(*urls: str) -> Generator[Stage]:
    """Set a stage over the twins, or over Postgres and Redis at these addresses."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        ready: asyncio.Future[Parts] = loop.create_future()
        over = asyncio.Event()

        async def play() -> None:
            # All of it in one task: what is opened here may not be closed from another one.
            async with _acting(_real(*urls) if urls else _memory()) as parts:
                ready.set_result(parts)
                await over.wait()

        async def first(task: asyncio.Task[None]) -> Parts:
            await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
            return ready.result() if ready.done() else _broken(task)

        async def last(task: asyncio.Task[None]) -> None:
            over.set()
            await task

        task = loop.create_task(play())
        yield Stage(runner, *runner.run(first(task)))
        runner.run(last(task))
