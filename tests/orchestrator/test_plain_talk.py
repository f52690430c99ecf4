"""What streams is shown anew, from its start, when it was cut off; what is whole is never shown twice."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from holdfast.events.fold import fold
from holdfast.events.store import RunStatus
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.models import (
    Finished,
    Message,
    ModelError,
    ReasoningDelta,
    ScriptedClient,
    TextDelta,
    Tool,
)
from holdfast.orchestrator.models.chat import Chunk
from holdfast.orchestrator.workflow import Workflow, workflow
from tests.orchestrator.harness import World, check_log, data, of_type, shown, told, types

WORDS = [f"word{n} " for n in range(12)]


class Speaker:
    """A workflow that says WORDS, and stops in the middle of its first attempt until it is crashed."""

    def __init__(self, kind: str) -> None:
        self.read = 0

        async def words(ctx: WorkflowContext, stops: bool) -> AsyncGenerator[str]:
            for n, word in enumerate(WORDS):
                if n == 6 and stops and ctx.attempt == 1:
                    await asyncio.Event().wait()
                self.read += 1
                yield word
                await asyncio.sleep(0.008)

        @workflow("speaker", version="1")
        async def speaker(ctx: WorkflowContext, input: bool) -> str:
            async with ctx.agent("Ann") as ann:
                await ann.message("before")
                if kind == "message":
                    return await ann.message(words(ctx, input))
                return await ann.reasoning(words(ctx, input))

        self.workflow: Workflow = speaker


async def interrupted(world: World, kind: str) -> tuple[Speaker, Any, Any]:
    """Cut the speaker off and let another worker go on; return its log and that of a calm run."""
    speaker = Speaker(kind)
    first = await world.worker(speaker.workflow)
    ticket = await world.ask("speaker", True)
    await world.has(ticket, f"{kind}.delta", 2)
    await first.crash()
    await world.worker(speaker.workflow, name="w2")
    await world.reaches(ticket)
    calm = await world.ask("speaker", False)
    await world.reaches(calm)
    return speaker, ticket, calm


async def test_a_message_that_was_cut_off_is_dropped_and_streamed_anew(world: World) -> None:
    _, ticket, calm = await interrupted(world, "message")
    events, smooth = await world.events(ticket.session), await world.events(calm.session)
    check_log(events)
    after = [e for e in events if e.seq > of_type(events, "run.resumed")[0].seq]
    assert types(after)[:2] == ["step.restarted", "message.started"]
    assert after[0].step == after[1].step == "agent:Ann#1/message#2"
    assert "".join(data(e)["text"] for e in of_type(after, "message.delta")) == "".join(WORDS)
    ids = {data(e)["message_id"] for e in of_type(events, "message.started")}
    assert len(ids) == 2
    assert told(events) == [("Ann", "before"), ("Ann", "".join(WORDS))]
    assert shown(events, ticket.run_id) == shown(smooth, calm.run_id)


async def test_a_thought_that_was_cut_off_is_dropped_and_streamed_anew(world: World) -> None:
    _, ticket, calm = await interrupted(world, "reasoning")
    events, smooth = await world.events(ticket.session), await world.events(calm.session)
    check_log(events)
    [done] = of_type(events, "reasoning.completed")
    assert data(done)["content"] == "".join(WORDS)
    assert shown(events, ticket.run_id) == shown(smooth, calm.run_id)


async def test_at_every_moment_a_reader_sees_a_beginning_of_the_message(world: World) -> None:
    _, ticket, _ = await interrupted(world, "message")
    events = await world.events(ticket.session)
    for n in range(len(events)):
        for message in fold(events[:n]).messages.all.values():
            if message["message_id"].endswith("message#2"):
                assert "".join(WORDS).startswith(message["content"])


# --- model calls -----------------------------------------------------------------------------------

ASKED: list[Message] = [{"role": "user", "content": "Requirement: a URL shortener"}]


async def test_a_model_call_shows_its_answer_and_what_it_cost(world: World) -> None:
    @workflow("asking")
    async def asking(ctx: WorkflowContext, input: None) -> str:
        reply = await ctx.llm(ASKED, model=ScriptedClient(token_delay_s=0))
        return reply.text

    await world.worker(asking)
    ticket = await world.ask("asking")
    await world.reaches(ticket)
    events = await world.events(ticket.session)
    check_log(events)
    talk = [t for t in types(events) if t.startswith(("llm", "message")) and t != "message.delta"]
    assert talk == ["llm.started", "message.started", "message.completed", "llm.completed"]
    [done] = of_type(events, "llm.completed")
    assert data(done)["usage"]["output_tokens"] > 10
    assert data(done)["finish_reason"] == "stop"
    [(_, content)] = told(events)
    assert data(events[-1])["result"] == content


class Thinker:
    """A model that thinks, then speaks, then maybe breaks or stands still."""

    model = "thinker"

    def __init__(self, *, breaks: bool = False, stops: bool = False) -> None:
        self.breaks, self.stops, self.asked = breaks, stops, 0

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str | None = None,
        tools: Sequence[Tool] | None = None,
        temperature: float | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        self.asked += 1
        for word in WORDS[:3]:
            yield ReasoningDelta(word)
        for n, word in enumerate(WORDS):
            if n == 6 and self.breaks:
                raise ModelError("The model had a bad day.")
            if n == 6 and self.stops and self.asked == 1:
                await asyncio.Event().wait()
            yield TextDelta(word)
            await asyncio.sleep(0.006)
        yield Finished("stop", None, 1, "thinker")

    async def aclose(self) -> None:
        pass


def asking_of(model: Thinker) -> Workflow:
    @workflow("thinking", version="1")
    async def thinking(ctx: WorkflowContext, input: None) -> str:
        return (await ctx.llm(ASKED, model=model)).text

    return thinking


async def test_a_model_that_fails_is_told_in_its_own_sentence_and_fails_the_run(
    world: World,
) -> None:
    await world.worker(asking_of(Thinker(breaks=True)))
    ticket = await world.ask("thinking")
    await world.reaches(ticket, RunStatus.FAILED)
    events = await world.events(ticket.session)
    assert types(events)[-2:] == ["llm.failed", "run.failed"]
    assert data(events[-2])["error"]["message"] == "The model had a bad day."
    assert data(events[-1])["error"]["message"].startswith(
        "The model had a bad day (step 'llm' of workflow 'thinking');"
    )
    assert {data(event)["error"]["code"] for event in events[-2:]} == {"model-error"}
    check_log(events)


async def test_a_model_call_that_was_cut_off_is_made_again_and_shown_as_if_it_were_the_first(
    world: World,
) -> None:
    model = Thinker(stops=True)
    first = await world.worker(asking_of(model))
    ticket = await world.ask("thinking")
    await world.has(ticket, "message.delta", 2)
    await first.crash()
    await world.worker(asking_of(model), name="w2")
    await world.reaches(ticket)
    calm = await world.ask("thinking")
    await world.reaches(calm)
    events = await world.events(ticket.session)
    check_log(events)
    assert model.asked == 3
    assert told(events) == [(None, "".join(WORDS))]
    assert shown(events, ticket.run_id) == shown(await world.events(calm.session), calm.run_id)


async def test_a_whole_answer_is_not_asked_for_again(world: World) -> None:
    model = Thinker()

    @workflow("twice", version="1")
    async def twice(ctx: WorkflowContext, input: None) -> list[str]:
        first = await ctx.llm(ASKED, model=model)
        await ctx.notify("asked")
        if ctx.attempt == 1:
            await asyncio.Event().wait()
        return [first.text, first.finish_reason]

    rig = await world.worker(twice)
    ticket = await world.ask("twice")
    await world.has(ticket, "notification.sent")
    await rig.crash()
    await world.worker(twice, name="w2")
    await world.reaches(ticket)
    assert model.asked == 1
    assert data((await world.events(ticket.session))[-1])["result"] == ["".join(WORDS), "stop"]
