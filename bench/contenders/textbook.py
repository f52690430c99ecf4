"""The gateway that one writes from a tutorial: FastAPI, sse-starlette, one XREAD BLOCK for each client.

It reads the very streams that Holdfast's worker writes, so that both are fed by the same producer.
Run as a program by `Textbook`: uvicorn serves `app`.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import redis.asyncio
from fastapi import FastAPI, Request
from sse_starlette import EventSourceResponse

from bench.contenders.contender import Pace
from bench.contenders.holdfast import Holdfast
from bench.rig.clocks import pin
from holdfast.local.ports import free_port

app = FastAPI()
_redis: Any = None


def _connection() -> Any:
    global _redis  # one pool for the process, as tutorials have it
    if _redis is None:
        url = os.environ["TEXTBOOK_REDIS_URL"]
        _redis = redis.asyncio.Redis.from_url(url, max_connections=20_000, socket_timeout=None)
    return _redis


@app.get("/stream/{key:path}")
async def stream(key: str, request: Request) -> EventSourceResponse:
    """Follow one stream from its start, or from the Last-Event-ID."""

    async def events() -> AsyncIterator[dict[str, str]]:
        last = request.headers.get("last-event-id", "0-0")
        while True:
            answer = await _connection().xread({key: last}, count=100, block=15_000)
            for _, entries in answer:
                for entry_id, fields in entries:
                    last = entry_id.decode()
                    event = orjson.loads(fields[b"b"])
                    yield {"id": last, "data": orjson.dumps(event).decode()}

    return EventSourceResponse(events())


class Textbook:
    """uvicorn with uvloop and httptools, one process, beside Holdfast's own stack."""

    name = "textbook"

    def __init__(self, folder: Path, fed_by: Holdfast) -> None:
        self._fed_by = fed_by
        self.port = free_port()
        address = fed_by.stack.processes()["redis"]["address"]
        folder.mkdir(parents=True, exist_ok=True)
        self._log = (folder / "textbook.log").open("ab")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "bench.contenders.textbook:app"),
                *("--port", str(self.port), "--no-access-log", "--backlog", "4096"),
            ],
            env={**os.environ, "TEXTBOOK_REDIS_URL": f"redis://{address}"},
            stdout=self._log,
            stderr=self._log,
        )
        self._wait()
        pin(self.pids, 0)

    @property
    def pids(self) -> Sequence[int]:
        """uvicorn."""
        return [self._process.pid]

    @property
    def beside(self) -> Sequence[int]:
        """The Redis that it reads."""
        return self._fed_by.beside

    def sessions(self, count: int) -> Sequence[str]:
        """Sessions of Holdfast's."""
        return self._fed_by.sessions(count)

    def path(self, session: str) -> str:
        """The session's stream by its key."""
        return f"/stream/{self._key(session)}"

    def publish(self, sessions: Sequence[str], pace: Pace) -> None:
        """Let Holdfast's worker publish."""
        self._fed_by.publish(sessions, pace)

    def settle(self, timeout_s: float) -> None:
        """Wait for Holdfast's worker."""
        self._fed_by.settle(timeout_s)

    def stop(self) -> None:
        """End uvicorn; Holdfast is stopped by whoever started it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()  # a tutorial's gateway waits for its streams for ever
            self._process.wait(10)
        self._log.close()

    def _key(self, session: str) -> str:
        return self._fed_by.window(session)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise TimeoutError("uvicorn did not listen within 30 s")
