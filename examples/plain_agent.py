"""An agent in 15 lines: it looks something up, and a model sums it up."""

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow


async def search(query: str) -> list[str]:
    return [f"a page about {query}"]


@workflow("plain", description="Looks something up and sums it up.")
async def plain(ctx: WorkflowContext, input: str) -> str:
    pages = await ctx.tool("search", search, {"query": input})
    reply = await ctx.llm([{"role": "user", "content": f"Sum up: {pages}"}])
    return reply.text
