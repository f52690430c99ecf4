"""Workflows for a browser to look at: a person's decision, hostile content, and a bit of everything for pictures."""

import asyncio
import os
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, Field

from holdfast.orchestrator.context import StepError, WorkflowContext
from holdfast.orchestrator.models.scripted import ScriptedClient
from holdfast.orchestrator.workflow import workflow
from tests.browser.hostile import HOSTILE, LINKS, LONG_LINE, MARKDOWN


class Channel(StrEnum):
    """Where something is published."""

    BLOG = "blog"
    MAIL = "mail"


class Decision(BaseModel):
    """What a person says to a draft."""

    approved: bool
    channel: Channel = Channel.BLOG
    comment: Annotated[str, Field(min_length=3, description="what you think of it")]


@workflow("decide", description="Asks a person and says what was decided.")
async def decide(ctx: WorkflowContext, input: str) -> str:
    """Wait for one answer."""
    decision: Decision = await ctx.input(f"Publish {input}?", schema=Decision)
    verdict = "published" if decision.approved else "rejected"
    await ctx.message(f"{verdict} on the {decision.channel}: {decision.comment}")
    return verdict


@workflow("endless", description="Works until it is cancelled.")
async def endless(ctx: WorkflowContext, input: str) -> None:
    """Tick for as long as anybody lets it."""
    number = 0
    while True:
        number += 1
        await ctx.message(f"{input} {number}")
        await asyncio.sleep(0.1)


@workflow("fragile", description="Fails at its second step.")
async def fragile(ctx: WorkflowContext, input: str) -> None:
    """Say what is begun, and fail."""
    await ctx.message(f"Beginning {input}.")
    await ctx.step("connect", _connect)


async def _connect() -> None:
    raise ConnectionError("the warehouse did not answer within 30 s")


async def _echo(**given: Any) -> dict[str, Any]:
    return given


async def _refuse(**given: Any) -> None:
    raise ValueError(HOSTILE)


@workflow("hostile", description=HOSTILE[:500])
async def hostile(ctx: WorkflowContext, input: str) -> None:
    """Say, in every place that takes words, what must never be more than words."""
    await ctx.stage(HOSTILE[:100])
    (task,) = await ctx.plan([HOSTILE[:200]], title=HOSTILE[:200])
    async with ctx.task(task) as work:
        await work.progress(0.5, HOSTILE[:200])
    await ctx.notify(HOSTILE, level="error", title=HOSTILE[:200])
    await ctx.state(**{HOSTILE[:60]: HOSTILE})
    async with ctx.agent(HOSTILE[:100]) as agent:
        await agent.reasoning(HOSTILE)
        await agent.message(HOSTILE)
        await agent.message(MARKDOWN, content_type="text/markdown")
        await agent.message(LONG_LINE)
        await agent.message("<h1>markup</h1>" + HOSTILE, content_type="text/html")
        await agent.tool(HOSTILE[:60], _echo, {"text": HOSTILE, HOSTILE[:40]: [HOSTILE]})
        try:
            await agent.tool("refuse", _refuse, {"text": LONG_LINE})
        except StepError as error:
            await agent.message(str(error))
    for kind in (
        "text",
        "markdown",
        "card",
        "table",
        "list",
        "metric",
        "link",
        "image",
        HOSTILE[:60],
    ):
        for n, content in enumerate(_contents()):
            await ctx.component(f"{kind}-{n}"[:100], kind, content)
    for n, uri in enumerate(LINKS):
        await ctx.artifact(f"link-{n}", HOSTILE[:100], uri=uri, media_type="text/html")
    await ctx.artifact("page", "page.html", content=HOSTILE, media_type="text/html")
    await ctx.artifact("drawing", "drawing.svg", content=HOSTILE, media_type="image/svg+xml")
    choices = {
        "type": "string",
        "enum": [HOSTILE[:80]],
        "title": HOSTILE[:80],
        "description": HOSTILE,
    }
    await ctx.input(HOSTILE, schema={"type": "object", "properties": {HOSTILE[:40]: choices}})
    raise ValueError(HOSTILE)


def _contents() -> list[Any]:
    """What a component may be given: words, and every field that a look may take words from."""
    names = (
        "text",
        "title",
        "subtitle",
        "body",
        "label",
        "value",
        "href",
        "url",
        "src",
        "alt",
        "markdown",
    )
    rows = [{HOSTILE[:40]: HOSTILE, "href": link} for link in LINKS]
    by_link = [
        {**dict.fromkeys(names, HOSTILE), "href": link, "url": link, "src": link} for link in LINKS
    ]
    return [HOSTILE, [HOSTILE], rows, {"rows": rows, "items": [HOSTILE]}, *by_link]


# A picture of a run at work needs one that takes its time.
TOKEN_DELAY_S = float(os.environ.get("REPORT_TOKEN_DELAY_S", "0.03"))


class Brief(BaseModel):
    """What is to be found out."""

    topic: str


async def _look_up(topic: str, angle: str) -> dict[str, Any]:
    await asyncio.sleep(0.4)
    return {
        "topic": topic,
        "angle": angle,
        "sources": [
            {"title": f"{angle.capitalize()} of {topic}, a survey", "year": 2024, "pages": 31},
            {"title": f"Measuring {angle}", "year": 2025, "pages": 12},
        ],
    }


async def _flaky(topic: str) -> None:
    await asyncio.sleep(0.3)
    raise ConnectionError(f"the archive of {topic} did not answer")


_FOUND = {
    "history": "Three generations of designs, and what each of them gave up for speed.",
    "costs": "Storage grows with every event; reading is cheap, because a snapshot is never far away.",
    "risks": "A worker may come back from the dead. A fence at the store makes it harmless.",
}


async def _research(angle: str, topic: str, lane: WorkflowContext) -> str:
    model = ScriptedClient(token_delay_s=2 * TOKEN_DELAY_S, reply=lambda _: _FOUND[angle])
    async with lane.agent(f"{angle.capitalize()} researcher") as agent:
        notes = await agent.tool("look_up", _look_up, {"topic": topic, "angle": angle})
        if angle == "risks":
            try:
                await agent.tool("search_archive", _flaky, {"topic": topic})
            except StepError:
                await agent.notify("The archive is away; going on without it.", level="warning")
        reply = await agent.llm([{"role": "user", "content": f"Sum up {notes}"}], model=model)
        return reply.text


@workflow("report", description="Researches a topic from three sides and asks before it publishes.")
async def report(ctx: WorkflowContext, input: Brief) -> str:
    """Plan, research in parallel, write, ask, publish: what a picture of the console should show."""
    plan = await ctx.plan(
        ["Research", "Write the report", "Publish"], title=f"A report on {input.topic}"
    )
    research, writing, publishing = plan
    await ctx.stage("research")
    async with ctx.task(research) as task:
        found = await task.parallel(
            {angle: partial(_research, angle, input.topic) for angle in _FOUND}, on_error="raise"
        )
    await ctx.progress(0.5, "researched")
    await ctx.stage("writing")
    async with ctx.task(writing) as task, task.agent("Writer") as writer:
        await writer.reasoning(
            "Three findings, one page. Begin with what the reader has to decide."
        )
        text = "\n".join(
            f"- **{angle}**: {words}" for angle, words in zip(_FOUND, found.values(), strict=True)
        )
        model = ScriptedClient(
            token_delay_s=TOKEN_DELAY_S, reply=lambda _: f"## {input.topic}\n\n{text}"
        )
        await writer.llm(
            [{"role": "user", "content": "Write it"}], model=model, content_type="text/markdown"
        )
    await ctx.progress(0.8, "written")
    await ctx.component(
        "sources",
        "table",
        [{"angle": angle, "sources": 2, "pages": 43} for angle in _FOUND],
    )
    await ctx.artifact(
        "report", "report.md", content=f"# {input.topic}\n\n{text}\n", media_type="text/markdown"
    )
    await ctx.stage("review")
    async with ctx.task(publishing):
        decision: Decision = await ctx.input("The report is ready. Publish it?", schema=Decision)
    return "published" if decision.approved else "rejected"
