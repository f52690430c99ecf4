"""A run that waits for a person, for a minute or a month: meanwhile it holds no worker and no task."""

from pydantic import BaseModel

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow


class Decision(BaseModel):
    approved: bool
    comment: str = ""


async def publish(text: str) -> str:
    return f"published {len(text)} characters"


@workflow("approval", description="Drafts an announcement and publishes it when a person agrees.")
async def approval(ctx: WorkflowContext, input: str) -> str:
    async with ctx.agent("Writer") as writer:
        draft = await writer.llm([{"role": "user", "content": f"Announce: {input}"}])
    decision: Decision = await ctx.input("Publish this?", schema=Decision, timeout_s=7 * 86_400)
    if not decision.approved:
        await ctx.notify(f"Not published. {decision.comment}".strip(), level="warning")
        return "rejected"
    return str(await ctx.tool("publish", publish, {"text": draft.text}))
