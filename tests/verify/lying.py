"""A small deployment in one process, on no servers, that keeps every promise but the one it is told to break."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from holdfast.events.codec import format_ts
from holdfast.events.kinds import TypeFilter, is_terminal
from tests.client.scripted import Reply, Request, control

Frames = list[tuple[int, bytes]]
Lie = Callable[[int, Frames], Frames]

# The event of each session that a lie is about: early enough to be in every run.
ABOUT = 7


def honest(seq: int, frames: Frames) -> Frames:
    """Send what is there."""
    return frames


def drops(seq: int, frames: Frames) -> Frames:
    """Leave an event out."""
    return [] if seq == ABOUT else frames


def repeats(seq: int, frames: Frames) -> Frames:
    """Send an event twice."""
    return frames * 2 if seq == ABOUT else frames


def swaps_bytes(seq: int, frames: Frames) -> Frames:
    """Send an event that says the same in other bytes."""
    if seq != ABOUT:
        return frames
    return [(seq, body.replace(b'"v":1,"seq":7', b'"seq":7,"v":1')) for seq, body in frames]


def mixes_sessions_up(seq: int, frames: Frames) -> Frames:
    """Send an event of somebody else's."""
    if seq != ABOUT:
        return frames
    return [
        (seq, body.replace(b'"session_id":"verify-', b'"session_id":"other-'))
        for seq, body in frames
    ]


class Deployment:
    """Gateway, worker and log. Streams go through `lie`; pages tell the truth."""

    def __init__(self, lie: Lie = honest) -> None:
        self.logs: dict[str, list[tuple[str, str | None, bytes]]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.erased: list[str] = []
        self._lie = lie
        self._keys: dict[str, dict[str, Any]] = {}
        self._news: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, request: Request, reply: Reply) -> None:
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        match (request.method, *parts):
            case ("GET", "v1", "workflows"):
                items = [{"name": "ticker", "version": "1", "workers": ["w"]}]
                await reply.json({"items": items})
            case ("POST", "v1", "sessions"):
                session = request.json["session_id"]
                self._append(session, "session.created")
                await reply.json({"session_id": session}, 201)
            case ("DELETE", "v1", "sessions", session):
                self.erased.append(session)
                await reply.json({}, 202)
            case ("POST", "v1", "sessions", session, "runs"):
                await reply.json(self._start(session, request), 202)
            case ("GET", "v1", "sessions", session, "events"):
                await reply.status(200, self._page(session, int(request.query["after"])))
            case ("GET", "v1", "sessions", session, "stream"):
                await self._stream(request, reply, session, None)
            case ("GET", "v1", "runs", run_id, "stream"):
                await self._stream(request, reply, self.runs[run_id]["session_id"], run_id)
            case ("GET", "v1", "runs", run_id):
                await reply.json(self.runs[run_id])
            case ("POST", "v1", "runs", run_id, "cancel"):
                run = self.runs[run_id]
                if run["status"] != "running":
                    await reply.problem(409, "run-ended", "it has ended")
                    return
                self._command(run["session_id"], "cancel", run_id)
                self._end(run_id, "cancelled")
                await reply.json(run, 202)
            case _:
                await reply.problem(404, "not-found", request.path)

    def _append(self, session: str, type_: str, run_id: str | None = None, **data: Any) -> None:
        log = self.logs.setdefault(session, [])
        event = {"v": 1, "seq": len(log) + 1, "type": type_, "session_id": session}
        event |= {"run_id": run_id, "attempt": 1} if run_id else {}
        event |= {"ts": format_ts(datetime.now(UTC)), "data": data}
        log.append((type_, run_id, json.dumps(event, separators=(",", ":")).encode()))
        self._news.pop(session, asyncio.Event()).set()

    def _command(self, session: str, kind: str, run_id: str) -> None:
        command_id = f"{run_id}-{kind}"
        self._append(session, "command.accepted", run_id, command_id=command_id, kind=kind)

    def _start(self, session: str, request: Request) -> dict[str, Any]:
        key = request.headers["idempotency-key"]
        if key not in self._keys:
            run_id = f"run{len(self.runs) + 1}"
            ticket = {"run_id": run_id, "session_id": session, "after": len(self.logs[session])}
            self._keys[key] = ticket
            self.runs[run_id] = {**ticket, "status": "running", "attempts": 1}
            self._command(session, "start", run_id)
            task = asyncio.create_task(self._tick(run_id, request.json["input"]["events"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._keys[key]

    async def _tick(self, run_id: str, events: int) -> None:
        run = self.runs[run_id]
        self._append(run["session_id"], "run.started", run_id)
        for n in range(events):
            await asyncio.sleep(0.01)
            if run["status"] != "running":
                return
            self._append(run["session_id"], "message.delta", run_id, text=f"tick {n}")
        self._end(run_id, "completed")

    def _end(self, run_id: str, status: str) -> None:
        self.runs[run_id]["status"] = status
        self._append(self.runs[run_id]["session_id"], f"run.{status}", run_id)

    def _page(self, session: str, after: int) -> bytes:
        log = self.logs[session]
        items = b",".join(body for _, _, body in log[after : after + 500])
        through = min(len(log), after + 500)
        return b'{"items":[%b],"next_after":%d,"head":%d,"min_seq":1}' % (items, through, len(log))

    async def _stream(
        self, request: Request, reply: Reply, session: str, run_id: str | None
    ) -> None:
        types, cursor = TypeFilter.parse(request.query.get("types")), request.cursor
        log = self.logs[session]
        if run_id and any(is_terminal(t) and r == run_id for t, r, _ in log[:cursor]):
            await reply.status(204)
            return
        await reply.stream()
        told, caught_up = cursor, False
        while True:
            news = self._news[session]
            for seq, (type_, of, body) in enumerate(log[cursor:], cursor + 1):
                cursor = seq
                terminal = is_terminal(type_) and of == run_id
                if not (types.passes(type_) or terminal) or (run_id and of != run_id):
                    continue
                lead = b"" if seq == told + 1 else b"id: %d\n\n" % (seq - 1)
                for number, sent in self._lie(seq, [(seq, body)]):
                    await reply.send(lead + b"id: %d\ndata: %b\n\n" % (number, sent))
                    lead = b""
                told = seq  # a liar also believes that it has sent what it left out
                if terminal:
                    await reply.end()
                    return
            if not caught_up:
                await reply.send(b"id: %d\n\n" % cursor + control("caught-up", head=cursor))
                caught_up, told = True, cursor
            more = asyncio.ensure_future(news.wait())
            gone = asyncio.ensure_future(reply.gone())
            try:
                await asyncio.wait({more, gone}, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return
            finally:
                more.cancel()
                gone.cancel()
