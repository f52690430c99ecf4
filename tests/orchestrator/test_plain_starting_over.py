"""A model's answer that broke off is withdrawn and shown anew, never behind what was shown of it."""

import random
from collections.abc import AsyncGenerator, Sequence

import pytest

from holdfast.events.fold import fold
from holdfast.events.store import RunStatus
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.models import LlmSettings, Message
from holdfast.orchestrator.models.chat import Chunk, Finished, TextDelta, Tool
from holdfast.orchestrator.models.client import ChatClient
from holdfast.orchestrator.workflow import Workflow, workflow
from tests.models import behaviours as behaviour
from tests.models.openai_server import MODEL, Exchange, OpenAIServer, openai_server
from tests.models.reading import RecordingClock
from tests.orchestrator.harness import World, check_log, data, of_type, shown, told, types

ASKED: list[Message] = [{"role": "user", "content": "Say hello"}]
WORDS = ("Hello", ", ", "world")


@pytest.fixture
async def provider() -> AsyncGenerator[OpenAIServer, None]:
    async with openai_server() as server:
        yield server


def asking(provider: OpenAIServer, wanted: bool | None) -> Workflow:
    settings = LlmSettings(base_url=provider.base_url, model=MODEL)
    model = ChatClient(settings, clock=RecordingClock(), chance=random.Random(1))

    @workflow("asking", version="1")
    async def asking(ctx: WorkflowContext, input: None) -> str:
        reply = await ctx.llm(ASKED, model=model, retry_after_first_token=wanted)
        return reply.text

    return asking


async def thinks_and_breaks_off(x: Exchange) -> None:
    await x.head()
    await x.packet({"role": "assistant", "reasoning_content": "Hm."})
    await x.words(["Good", "bye"])


async def test_what_was_shown_is_withdrawn_and_the_answer_shown_from_its_start(
    world: World, provider: OpenAIServer
) -> None:
    await world.worker(asking(provider, True))
    provider.script(thinks_and_breaks_off, behaviour.normal(*WORDS))
    ticket = await world.ask("asking")
    await world.reaches(ticket)
    calm = await world.ask("asking")
    await world.reaches(calm)

    events, smooth = await world.events(ticket.session), await world.events(calm.session)
    check_log(events)
    assert data(events[-1])["result"] == "Hello, world"
    assert told(events) == [(None, "Hello, world")]
    order = [t for t in types(events) if t in ("step.restarted", "llm.started", "llm.completed")]
    assert order == ["llm.started", "step.restarted", "llm.started", "llm.completed"]
    [warned] = of_type(events, "notification.sent")
    assert "cut off" in data(warned)["text"]
    quiet = [e for e in events if e.type != "notification.sent"]
    assert shown(quiet, ticket.run_id) == shown(smooth, calm.run_id)
    for n in range(len(events)):
        for message in fold(events[:n]).messages.all.values():
            assert any(
                whole.startswith(message["content"]) for whole in ("Goodbye", "Hello, world")
            )


async def test_the_call_fails_when_the_retries_are_used_up(
    world: World, provider: OpenAIServer
) -> None:
    await world.worker(asking(provider, True))
    provider.script(thinks_and_breaks_off)
    ticket = await world.ask("asking")
    await world.reaches(ticket, RunStatus.FAILED)

    events = await world.events(ticket.session)
    check_log(events)
    assert types(events).count("step.restarted") == 2
    assert types(events)[-2:] == ["llm.failed", "run.failed"]
    assert len(provider.requests) == 3


async def test_it_is_not_done_unless_it_is_wanted(world: World, provider: OpenAIServer) -> None:
    await world.worker(asking(provider, None))
    provider.script(thinks_and_breaks_off, behaviour.normal())
    ticket = await world.ask("asking")
    await world.reaches(ticket, RunStatus.FAILED)

    assert "step.restarted" not in types(await world.events(ticket.session))
    assert len(provider.requests) == 1


class Plain:
    """A model of an application's own, which knows nothing of starting over."""

    model = "plain"

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str | None = None,
        tools: Sequence[Tool] | None = None,
        temperature: float | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        yield TextDelta("Hello")
        yield Finished("stop", None, 1, "plain")

    async def aclose(self) -> None:
        pass


async def test_a_model_that_can_not_start_over_says_so_before_it_is_asked(world: World) -> None:
    @workflow("asking", version="1")
    async def asking(ctx: WorkflowContext, input: bool) -> str:
        return (await ctx.llm(ASKED, model=Plain(), retry_after_first_token=input)).text

    await world.worker(asking)
    ticket = await world.ask("asking", True)
    await world.reaches(ticket, RunStatus.FAILED)
    assert "starting_over" in data((await world.events(ticket.session))[-1])["error"]["message"]
    other = await world.ask("asking", False)
    await world.reaches(other)
