"""Small workflows, cheap to execute: each shows one thing that a crash could break.

What they do outside is noted in the schedule's ledger. Their shape comes from their input alone, so that every replay
takes the same path.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, cast

from holdfast.events.errors import HoldfastError
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.context_wait import InputTimedOut
from holdfast.orchestrator.context_work import StepError
from holdfast.orchestrator.workflow import Workflow, workflow
from holdfast.verify.history import Call
from tests.simulation.loop import SimulatedLoop
from tests.simulation.process import current_process

Input = dict[str, Any]

# What a workflow says that fails because its input says so.
TOLD_TO = "it was told to fail"


class Broken(HoldfastError):
    """What a step of a simulated workflow raises."""


def _loop() -> SimulatedLoop:
    return cast("SimulatedLoop", asyncio.get_running_loop())


async def _work(ctx: WorkflowContext, *, dies: int = 0, fails: bool = False) -> int:
    """Do something outside, in the function of a step. The first `dies` attempts kill their worker."""
    outside = _loop().outside
    run_id, _, step = ctx.idempotency_key.partition(":")
    outside.calls.append(
        Call(
            session=ctx.session_id,
            run_id=run_id,
            step=step,
            attempt=ctx.attempt,
            at=_loop().time(),
        )
    )
    await asyncio.sleep(outside.chance.random() ** 3 * 1.5)
    if ctx.attempt <= dies:
        await _die()
    if fails:
        raise Broken(TOLD_TO)
    return len(outside.calls)


async def _die() -> None:
    _loop().outside.count("worker died of its workflow")
    current_process().kill()
    await _loop().create_future()


@workflow("steps", version="1")
async def steps(ctx: WorkflowContext, input: Input) -> int:
    """Steps one after the other; some fail, and that is caught."""
    done = 0
    for n in range(input["steps"]):
        try:
            await ctx.step("work", partial(_work, ctx, fails=n == input.get("fails")))
            done += 1
        except StepError:
            await ctx.value("caught", lambda: True)
    return done


@workflow("talk", version="1")
async def talk(ctx: WorkflowContext, input: Input) -> str:
    """A message that streams."""

    async def pieces() -> AsyncIterator[str]:
        for n in range(input["pieces"]):
            await asyncio.sleep(_loop().outside.chance.random() * 0.2)
            yield f"piece {n} "

    return await ctx.message(pieces())


@workflow("ask", version="1")
async def ask(ctx: WorkflowContext, input: Input) -> Any:
    """A question to a person, with or without a deadline; then a step."""
    try:
        answer = await ctx.input("go on?", timeout_s=input.get("timeout_s"))
    except InputTimedOut:
        answer = None
    await ctx.step("after", _work, ctx)
    return answer


@workflow("parallel", version="1")
async def parallel(ctx: WorkflowContext, input: Input) -> int:
    """Branches at the same time."""

    async def branch(name: str) -> None:
        inside = ctx.branch(name)
        await inside.step("work", _work, inside)
        await inside.message(f"{name} is done")

    await asyncio.gather(*(branch(f"b{n}") for n in range(input["branches"])))
    return int(input["branches"])


@workflow("fragile", version="1")
async def fragile(ctx: WorkflowContext, input: Input) -> int:
    """A step that kills its worker in the first attempts."""
    await ctx.step("before", _work, ctx)
    return await ctx.step("deadly", partial(_work, ctx, dies=input["dies"]))


@workflow("poison", version="1")
async def poison(ctx: WorkflowContext, input: Input) -> None:
    """Kills every worker that tries it, before it has taken a step."""
    await asyncio.sleep(0.01)
    await _die()


@workflow("fails", version="1")
async def fails(ctx: WorkflowContext, input: Input) -> None:
    """Raises."""
    await ctx.step("work", _work, ctx)
    raise Broken(TOLD_TO)


@workflow("naps", version="1")
async def naps(ctx: WorkflowContext, input: Input) -> None:
    """Gives its worker back for a while."""
    await ctx.step("before", _work, ctx)
    await ctx.sleep(input["nap_s"])
    await ctx.step("after", _work, ctx)


@workflow("deaf", version="1")
async def deaf(ctx: WorkflowContext, input: Input) -> str:
    """Cleans up when it is cancelled, and takes its time."""
    try:
        await ctx.step("work", _work, ctx)
        await asyncio.sleep(1.0)
    finally:
        await asyncio.sleep(0.3)
    return "done"


WORKFLOWS: tuple[Workflow, ...] = (
    steps,
    talk,
    ask,
    parallel,
    fragile,
    poison,
    fails,
    naps,
    deaf,
)
