"""Every kind of agent on a stage of its own: a world, a worker that knows it, and a way to ask for the story."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from holdfast.events.store import Ticket
from holdfast.orchestrator.workflow import Resources, Workflow, Workflows
from tests.orchestrator.golden import story
from tests.orchestrator.harness import Rig, World, check_log

Teller = Callable[[], AbstractAsyncContextManager[Workflow]]


@dataclass
class Stage:
    """A teller's workflow, and the world in which it is told."""

    world: World
    workflow: Workflow
    resources: Resources

    async def worker(self, name: str = "w1", **knobs: Any) -> Rig:
        """A worker that tells the story."""
        loaded = Workflows()
        loaded.add(self.workflow)
        await loaded.open(self.resources)
        assert not loaded.broken, loaded.broken
        return await self.world.worker(loaded=loaded, name=name, **knobs)

    async def ask(self, ending: str = "story") -> Ticket:
        """Ask for the story."""
        return await self.world.ask(self.workflow.name, ending)

    async def told(self, ticket: Ticket) -> dict[str, Any]:
        """What the log adds up to."""
        log = await self.world.events(ticket.session)
        check_log(log)
        return story.story(log)
