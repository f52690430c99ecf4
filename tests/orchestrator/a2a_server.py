"""A real A2A server of the official SDK on loopback, whose agent follows a script."""

# pyright: reportPrivateUsage=false

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Message,
    Part,
    Role,
    TaskState,
)
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct, Value
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

from holdfast.orchestrator.executors.a2a_updates import data_of, text_of


class Turn:
    """One message to the agent, and the ways to answer it."""

    def __init__(self, context: RequestContext, updater: TaskUpdater, number: int) -> None:
        self.context, self.updater, self.number = context, updater, number
        message = context.message
        assert message is not None
        self.said = text_of(message.parts)
        self.data = data_of(message.parts)

    def message(self, text: str = "", kind: str | None = None, **data: Any) -> Message:
        """A message of the agent's; `kind`, agent and lane go into its metadata, the rest is data."""
        metadata = Struct()
        placed = {"event": kind, "agent": data.pop("agent", None), "lane": data.pop("lane", None)}
        metadata.update({k: v for k, v in placed.items() if v})
        parts = [Part(text=text)] if text else []
        if data:
            parts.append(Part(data=ParseDict(data, Value())))
        message = self.updater.new_agent_message(parts)
        message.metadata.CopyFrom(metadata)
        return message

    async def tell(self, text: str = "", kind: str | None = None, **data: Any) -> None:
        """Say something while working."""
        message = self.message(text, kind, **data)
        await self.updater.update_status(TaskState.TASK_STATE_WORKING, message)

    async def ask(self, text: str, **data: Any) -> None:
        """Ask the caller for something; the turn is over then."""
        await self.updater.requires_input(self.message(text, **data))


Script = Callable[[Turn], Awaitable[None]]


class A2AServer:
    """Answers on `url`; `turns`, `cancelled` and `headers` tell what it saw."""

    def __init__(self, script: Script, *, streaming: bool, answers_with_message: bool) -> None:
        self.script, self.streaming = script, streaming
        self.answers_with_message = answers_with_message
        self.turns: list[Turn] = []
        self.cancelled: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.refuses: int | None = None
        self.card_url: str | None = None
        self.store = InMemoryTaskStore()
        self.url = ""

    def card(self) -> AgentCard:
        """What the agent says of itself."""
        return AgentCard(
            name="Scripted",
            description="Follows a script.",
            version="1",
            supported_interfaces=[
                AgentInterface(
                    url=self.card_url or f"{self.url}/rpc",
                    protocol_binding="JSONRPC",
                    protocol_version="1.0",
                )
            ],
            capabilities=AgentCapabilities(streaming=self.streaming),
            default_input_modes=["text/plain"],
            default_output_modes=["text/plain"],
            skills=[AgentSkill(id="s", name="Script", description="Follows it.", tags=["x"])],
        )


class _Executor(AgentExecutor):
    def __init__(self, server: A2AServer) -> None:
        self._server = server

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        message = context.message
        assert message is not None
        task = context.current_task
        if self._server.answers_with_message:
            answer = Message(message_id="only", role=Role.ROLE_AGENT, parts=[Part(text="Hello")])
            await event_queue.enqueue_event(answer)
            return
        if task is None:
            task = new_task_from_user_message(message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        same_task = [t for t in self._server.turns if t.updater.task_id == task.id]
        turn = Turn(context, updater, len(same_task) + 1)
        self._server.turns.append(turn)
        await self._server.script(turn)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None
        self._server.cancelled.append(context.task_id)
        updater = TaskUpdater(event_queue, context.task_id, context.context_id or "")
        await updater.cancel()


@asynccontextmanager
async def a2a_server(
    script: Script,
    *,
    streaming: bool = True,
    answers_with_message: bool = False,
    card_url: str | None = None,
) -> AsyncGenerator[A2AServer]:
    """Serve on a free port of loopback."""
    server = A2AServer(script, streaming=streaming, answers_with_message=answers_with_message)
    server.card_url = card_url
    listener = socket.create_server(("127.0.0.1", 0))
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    handler = DefaultRequestHandler(
        agent_executor=_Executor(server), task_store=server.store, agent_card=server.card()
    )
    app = Starlette(
        routes=[
            *create_agent_card_routes(server.card()),
            *create_jsonrpc_routes(handler, "/rpc"),
        ]
    )

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            server.headers.append(dict(Request(scope).headers))
            if server.refuses is not None:
                await JSONResponse({"error": "no"}, server.refuses)(scope, receive, send)
                return
        await app(scope, receive, send)

    config = uvicorn.Config(
        guarded, lifespan="off", log_level="warning", timeout_graceful_shutdown=1
    )
    uvicorn_server = uvicorn.Server(config)
    serving = asyncio.create_task(uvicorn_server._serve(sockets=[listener]))
    while not uvicorn_server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield server
    finally:
        uvicorn_server.should_exit = True
        await serving
        listener.close()
        await handler.aclose()
