"""The gateway that is fuzzed: a process of its own on a real uvicorn, over the in-memory twins, with something in it.

`python -m tests.fuzz.target` prints one line of JSON (its port and what can be asked about) and serves until its
standard input ends. It is a process of its own so that the lag of its loop is its own, too.
"""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from fastapi import FastAPI
from pydantic import JsonValue
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.events.catalog.message import MessageCompleted, MessageDelta, MessageStarted
from holdfast.events.catalog.run import InputRequested, RunCompleted, RunStarted
from holdfast.events.store import RunStatus
from holdfast.gateway import limits, protocol
from holdfast.gateway.wire import WIRE
from tests.gateway.http.conftest import WORKFLOWS, Served, serving, settings_for_tests

# Half-sent requests are cases, too: as shipped each of them would take 10 or 15 s.
HEADER_TIMEOUT_S = 0.6
BODY_TIMEOUT_S = 0.8

# A client that left behind a request of its own that waits is noticed when it is written to.
HEARTBEAT_S = 0.3

# How long a stream goes on for a client that can't read one that doesn't end.
CUT_S = 0.05

# How often the loop is asked how late it is, and how often the worker looks.
TICK_S = 0.005
WORK_S = 0.1

START_S = 30.0


@dataclass(frozen=True)
class Target:
    """Where the gateway is, and what is in it."""

    port: int
    session_id: str  # with events of two runs
    run_id: str  # one that has ended
    waiting_run_id: str  # one that waits for an input

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def target(*, cut: bool = False) -> AsyncGenerator[Target]:
    """Start the process; yield where it is. It must end by itself and without a word on stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fuzz.target"),
        *(["--cut"] if cut else []),
        stdin=PIPE,
        stdout=PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            line = await process.stdout.readline()
        yield Target(**json.loads(line))
        process.stdin.close()
        async with asyncio.timeout(START_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Lag:
    """The longest time by which the loop was late, since it was last asked for."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(TICK_S)
            self.worst = max(self.worst, time.monotonic() - begun - TICK_S)

    def take(self) -> float:
        worst, self.worst = self.worst, 0.0
        return worst


class Cut:
    """ASGI middleware that ends every stream after CUT_S, as a client that leaves would, but with a whole response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A bare connection would go past this.
        offered = {k: v for k, v in (scope.get("extensions") or {}).items() if k != WIRE}
        scope = {**scope, "extensions": offered}
        begun = is_open = False

        async def receive_cut() -> Message:
            if not begun:
                return await receive()
            await asyncio.sleep(CUT_S)
            return {"type": "http.disconnect"}

        async def send_seen(message: Message) -> None:
            nonlocal begun, is_open
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                begun = headers.get(b"content-type", b"").startswith(b"text/event-stream")
            is_open = message.get("more_body", message["type"] == "http.response.start")
            await send(message)

        await self._app(scope, receive_cut, send_seen)
        if is_open:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def fill(served: Served) -> Target:
    """Record a session with a run that ended and one that waits."""
    await served.store.registry.announce("worker", WORKFLOWS)
    session_id, session = await served.session("known")
    work = served.worker
    run_id = (await served.run(session_id))["run_id"]
    started = RunStarted(workflow="free", workflow_version="1", input=None)
    await work.set_run(session, run_id, RunStatus.RUNNING, started)
    await work.record(
        session,
        MessageStarted(message_id="m", role="assistant", content_type="text/markdown"),
        MessageDelta(message_id="m", text="a\u2028b\r\n\n🙂"),
        MessageCompleted(
            message_id="m",
            role="assistant",
            content="a\u2028b\r\n\n🙂",
            content_type="text/markdown",
            duration_ms=1,
        ),
        run_id=run_id,
    )
    await work.set_run(
        session, run_id, RunStatus.COMPLETED, RunCompleted(result={"n": 1}, duration_ms=1)
    )
    waiting = (await served.run(session_id))["run_id"]
    await work.set_run(session, waiting, RunStatus.RUNNING, started)
    schema: dict[str, JsonValue] = {"type": "object", "required": ["ok"]}
    asked = InputRequested(input_id="i", prompt="?", value_schema=schema)
    await work.set_run(
        session, waiting, RunStatus.WAITING, asked, waiting={"i": {"value_schema": schema}}
    )
    return Target(served.server.port, session_id, run_id, waiting)


async def serve(*, cut: bool) -> None:
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.LogfmtRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(30),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    protocol.HEADER_TIMEOUT_S = HEADER_TIMEOUT_S
    limits.BODY_TIMEOUT_S = BODY_TIMEOUT_S

    def prepare(app: FastAPI) -> None:
        if cut:
            app.add_middleware(Cut)

    async with serving(
        settings_for_tests(drain_s=0, heartbeat_s=HEARTBEAT_S), prepare=prepare
    ) as served:
        found = await fill(served)
        lag = Lag()
        served.gateway.metrics.watch("fuzz_loop_lag_seconds", "Since the last time.", lag.take)
        tasks = [asyncio.create_task(lag.watch()), asyncio.create_task(_work(served))]
        print(json.dumps(found.__dict__), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            assert not task.done(), task
            task.cancel()


async def _work(served: Served) -> None:
    while True:
        await asyncio.sleep(WORK_S)
        await served.worker.work()
        await served.store.registry.announce("worker", WORKFLOWS)


if __name__ == "__main__":
    asyncio.run(serve(cut="--cut" in sys.argv))
