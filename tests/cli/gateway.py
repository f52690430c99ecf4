"""A gateway that a test scripts: routes to JSON values, and streams of events."""

from typing import Any

from tests.client.scripted import Reply, Request, control, frame

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\r"

# seq → type and data of one session that has had one run.
STORY: list[tuple[str, dict[str, Any]]] = [
    ("session.created", {}),
    ("run.started", {"workflow": "team", "workflow_version": "1"}),
    ("stage.changed", {"to": "design"}),
    ("message.delta", {"message_id": "m", "text": "Hel"}),
    ("message.delta", {"message_id": "m", "text": "lo " + HOSTILE}),
    ("message.completed", {"message_id": "m", "content": "Hello " + HOSTILE, "duration_ms": 1}),
    ("run.completed", {"result": HOSTILE, "duration_ms": 12}),
]
FAILED = ("run.failed", {"error": {"code": "boom", "message": "it broke"}, "duration_ms": 1})
CANCELLED = ("run.cancelled", {"reason": "enough", "duration_ms": 1})


class FakeGateway:
    """Answers every route; `requests` of its server tell what it was asked."""

    def __init__(self, story: list[tuple[str, dict[str, Any]]] | None = None) -> None:
        self.story = story or STORY
        self.answers: dict[str, Any] = {}
        self.cuts: list[int] = []  # after how many events each first stream breaks off
        self.hang = False  # keep the stream open at its end

    async def __call__(self, request: Request, reply: Reply) -> None:
        parts = request.path.strip("/").split("/")
        if request.path in self.answers:
            answer = self.answers[request.path]
            if isinstance(answer, list):
                answer = answer.pop(0)  # one for each time it is asked
            if isinstance(answer, tuple):
                await reply.problem(*answer)
            else:
                await reply.json(answer)
        elif parts[-1] in ("stream", "replay"):
            await self._stream(request, reply)
        elif parts[-1] == "runs":
            await reply.json({"run_id": "r1", "session_id": "s", "after": 1}, 202)
        elif parts[-1] == "events":
            await reply.json({"items": [], "next_after": 0, "head": len(self.story)})
        else:
            await reply.problem(404, "not-found", f"no {request.path}")

    async def _stream(self, request: Request, reply: Reply) -> None:
        last = len(self.story)
        if request.cursor >= last and not self.hang:
            await reply.status(204)
            return
        await reply.stream()
        until = min(last, request.cursor + self.cuts.pop(0)) if self.cuts else last
        for seq in range(request.cursor + 1, until + 1):
            type_, data = self.story[seq - 1]
            await reply.send(frame(seq, type_, **data))
        if until < last:
            await reply.cut()
            return
        await reply.send(control("caught-up", head=last))
        if self.hang:
            await reply.gone()
        else:
            await reply.end()
