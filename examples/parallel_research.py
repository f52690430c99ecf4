"""Several agents at once: their events interleave in one stream, each in its own lane, and one may fail alone."""

from pydantic import BaseModel

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow


class Question(BaseModel):
    topic: str
    angles: list[str] = ["history", "costs", "risks"]


async def look_up(topic: str, angle: str) -> str:
    if angle == "nothing":
        raise LookupError(f"there is nothing about {topic}")
    return f"what is known about the {angle} of {topic}"


@workflow("research", description="Has several researchers look into a topic at once.")
async def research(ctx: WorkflowContext, input: Question) -> dict[str, str]:
    def researcher(angle: str):
        async def work(lane: WorkflowContext) -> str:
            async with lane.agent(f"Researcher: {angle}") as agent:
                args = {"topic": input.topic, "angle": angle}
                notes = await agent.tool("look_up", look_up, args)
                reply = await agent.llm([{"role": "user", "content": f"Sum up: {notes}"}])
                return reply.text

        return work

    found = await ctx.parallel({angle: researcher(angle) for angle in input.angles}, limit=5)
    for angle, lane in found.items():
        if lane.error is not None:
            await ctx.notify(f"{angle}: {lane.error.message}", level="warning")
    return {angle: lane.value for angle, lane in found.items() if lane.ok}
