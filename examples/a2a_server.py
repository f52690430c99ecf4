"""A remote agent, made with A2A's official SDK, that knows nothing of Holdfast: `python examples/a2a_server.py`.

It prints where it is, and ends when its standard input does.
"""

import asyncio
import socket
import sys

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
    Part,
    TaskState,
)
from starlette.applications import Starlette


class Librarian(AgentExecutor):
    """Looks things up, and says what it is at."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        topic = "".join(part.text for part in context.message.parts)
        task = new_task_from_user_message(context.message)
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        thought = updater.new_agent_message([Part(text=f"Where would I find {topic}?")])
        thought.metadata.update({"event": "reasoning"})  # what it stands for; no name: a message
        await updater.update_status(TaskState.TASK_STATE_WORKING, thought)
        await asyncio.sleep(0.2)
        await updater.complete(updater.new_agent_message([Part(text=f"All about {topic}.")]))

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None
        await TaskUpdater(event_queue, context.task_id, context.context_id or "").cancel()


def app(url: str) -> Starlette:
    """The agent's card, and the agent."""
    card = AgentCard(
        name="Librarian",
        description="Looks things up.",
        version="1",
        supported_interfaces=[
            AgentInterface(url=f"{url}/rpc", protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="look-up", name="Look up", description="Looks up.", tags=["books"])],
    )
    handler = DefaultRequestHandler(
        agent_executor=Librarian(), task_store=InMemoryTaskStore(), agent_card=card
    )
    return Starlette(
        routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/rpc")]
    )


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app(url), log_level="warning"))
    print(url, flush=True)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(main())
