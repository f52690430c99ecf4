"""A step is tried again as asked, stopped at its timeout, and called where it harms nobody."""

import asyncio
import os
import random
import time
from contextlib import suppress
from typing import Any

import pytest

from holdfast.events.store import RunStatus
from holdfast.orchestrator.context import Retry, StepError, StepTimeout, WorkflowContext
from holdfast.orchestrator.current import idempotency_key
from holdfast.orchestrator.offload import close_processes
from holdfast.orchestrator.workflow import workflow
from tests.orchestrator.crashes import at_every_event
from tests.orchestrator.harness import World, check_log, data, of_type, types
from tests.orchestrator.offloaded import exits, key_of_step, raises, spins, square

QUICK = Retry(attempts=3, backoff_s=0.01, jitter=0)


class Flaky:
    """Fails a few times, then works."""

    def __init__(self, failures: int, error: type[Exception] = ConnectionError) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error("no answer")
        return 42


async def test_a_step_that_fails_is_tried_again_and_says_so(world: World) -> None:
    flaky = Flaky(2)

    @workflow("patient")
    async def patient(ctx: WorkflowContext, input: None) -> int:
        return await ctx.step("fetch", flaky, retry=QUICK)

    await world.worker(patient)
    ticket = await world.ask("patient")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    steps = [e for e in events if e.type.startswith("step.")]
    assert types(steps) == [
        *("step.started", "step.retrying", "step.started", "step.retrying"),
        *("step.started", "step.completed"),
    ]
    told = [data(e) for e in of_type(events, "step.retrying")]
    assert [(t["next_try"], t["delay_ms"]) for t in told] == [(2, 10), (3, 20)]
    assert told[0]["error"]["message"] == "ConnectionError: no answer"
    assert data(events[-1])["result"] == 42


async def test_only_the_errors_that_are_named_are_tried_again(memory_world: World) -> None:
    world, flaky = memory_world, Flaky(1, ValueError)

    @workflow("choosy")
    async def choosy(ctx: WorkflowContext, input: None) -> int:
        return await ctx.step("fetch", flaky, retry=Retry(3, 0.01, on=(ConnectionError,)))

    await world.worker(choosy)
    ticket = await world.ask("choosy")
    await world.reaches(ticket, RunStatus.FAILED)
    assert flaky.calls == 1
    error = data((await world.events(ticket.session))[-1])["error"]
    assert error["message"].startswith("'fetch' of workflow 'choosy': ValueError: no answer; ")


async def test_a_step_that_never_works_fails_after_its_last_attempt(memory_world: World) -> None:
    world, flaky = memory_world, Flaky(99)

    @workflow("doomed")
    async def doomed(ctx: WorkflowContext, input: None) -> int:
        return await ctx.step("fetch", flaky, retry=QUICK)

    await world.worker(doomed)
    ticket = await world.ask("doomed")
    await world.reaches(ticket, RunStatus.FAILED)
    assert flaky.calls == 3
    assert types(await world.events(ticket.session))[-2:] == ["step.failed", "run.failed"]


async def test_failed_calls_count_over_a_crash(memory_world: World) -> None:
    world = memory_world
    calls: list[int] = []

    @workflow("counting")
    async def counting(ctx: WorkflowContext, input: None) -> int:
        async def fetch() -> int:
            calls.append(ctx.attempt)
            if ctx.attempt == 1 and len(calls) == 2:
                await asyncio.Event().wait()
            raise ConnectionError("no answer")

        return await ctx.step("fetch", fetch, retry=QUICK)

    first = await world.worker(counting)
    ticket = await world.ask("counting")
    await world.until(lambda: len(calls) == 2)
    await first.crash()
    await world.worker(counting, name="w2")
    await world.reaches(ticket, RunStatus.FAILED)
    # The one that failed counts, the one that the crash cut off does not.
    assert calls == [1, 1, 2, 2]
    tries = [
        data(e)["next_try"] for e in of_type(await world.events(ticket.session), "step.retrying")
    ]
    assert tries == [2, 3]


async def test_the_pause_doubles_up_to_its_limit_give_or_take_the_jitter() -> None:
    calm = Retry(9, backoff_s=1, max_backoff_s=5, jitter=0)
    assert [calm.pause_s(n, random.Random(1)) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 5, 5]
    shaken = Retry(9, backoff_s=1, max_backoff_s=5, jitter=0.5)
    pauses = [shaken.pause_s(4, random.Random(n)) for n in range(200)]
    assert 2.5 <= min(pauses) < 3.2
    assert 6.8 < max(pauses) <= 7.5


async def test_a_step_that_takes_too_long_is_stopped_and_names_itself(world: World) -> None:
    stopped: list[bool] = []

    @workflow("slow")
    async def slow(ctx: WorkflowContext, input: None) -> str:
        async def crawl() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.append(True)

        try:
            await ctx.step("crawl", crawl, timeout_s=0.05)
        except StepTimeout as error:
            await ctx.notify(str(error))
            return error.code
        return "?"

    await world.worker(slow)
    ticket = await world.ask("slow")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    assert stopped == [True]
    assert data(events[-1])["result"] == "step-timeout"
    [note] = of_type(events, "notification.sent")
    for part in ("'crawl'", "workflow 'slow'", "0.05 s", "timeout_s"):
        assert part in data(note)["text"]


async def test_a_timeout_may_be_tried_again_and_is_the_same_error_on_replay(
    memory_world: World,
) -> None:
    world = memory_world
    caught: list[str] = []

    @workflow("twice")
    async def twice(ctx: WorkflowContext, input: None) -> None:
        retry = Retry(2, 0.01, on=(TimeoutError,))
        try:
            await ctx.step("crawl", asyncio.Event().wait, timeout_s=0.02, retry=retry)
        except StepTimeout as error:
            caught.append(error.code)
        if ctx.attempt == 1:
            await ctx.notify("crash here")
            await asyncio.Event().wait()

    first = await world.worker(twice)
    ticket = await world.ask("twice")
    await world.has(ticket, "notification.sent")
    await first.crash()
    await world.worker(twice, name="w2")
    await world.reaches(ticket, RunStatus.COMPLETED)
    assert caught == ["step-timeout"] * 2
    assert types(await world.events(ticket.session)).count("step.retrying") == 1


async def test_a_timeout_that_nothing_can_keep_is_refused_with_what_to_do(
    memory_world: World,
) -> None:
    world = memory_world

    @workflow("blocking")
    async def blocking(ctx: WorkflowContext, input: None) -> Any:
        return await ctx.step("count", square, 3, timeout_s=1)

    await world.worker(blocking)
    ticket = await world.ask("blocking")
    await world.reaches(ticket, RunStatus.FAILED)
    assert "offload" in data((await world.events(ticket.session))[-1])["error"]["message"]


async def test_a_retried_step_crashed_at_every_event_ends_the_same() -> None:
    @workflow("retried", version="1")
    async def retried(ctx: WorkflowContext, input: None) -> int:
        calls = 0

        async def fetch() -> int:
            nonlocal calls
            calls += 1
            if not idempotency_key() or calls < 2:
                raise ConnectionError("no answer")
            return 1

        await ctx.message("before")
        number = await ctx.step("fetch", fetch, retry=Retry(9, 0.01, jitter=0))
        await ctx.message("after")
        return number

    calm = await at_every_event([retried])
    assert "step.retrying" in types(calm)


async def test_a_key_of_ones_own_replaces_the_steps(memory_world: World) -> None:
    world = memory_world
    keys: list[str | None] = []

    @workflow("keyed")
    async def keyed(ctx: WorkflowContext, input: None) -> None:
        await ctx.step("pay", lambda: keys.append(ctx.idempotency_key), idempotency_key="order-7")
        await ctx.step("pay", lambda: keys.append(idempotency_key()))
        keys.append(await ctx.step("pay", key_of_step, offload="thread"))
        keys.append(await ctx.step("pay", key_of_step, offload="process"))

    await world.worker(keyed)
    ticket = await world.ask("keyed")
    await world.reaches(ticket, RunStatus.COMPLETED)
    own = [f"{ticket.run_id}:pay#{n}" for n in (2, 3, 4)]
    assert keys == ["order-7", *own]


@pytest.mark.parametrize("how", ["thread", "process"])
async def test_work_beside_the_loop_holds_up_no_neighbour(world: World, how: Any) -> None:
    @workflow("busy")
    async def busy(ctx: WorkflowContext, input: None) -> float:
        return await ctx.step("spin", spins, 1.5, offload=how)

    @workflow("quick")
    async def quick(ctx: WorkflowContext, input: None) -> None:
        await ctx.message("hello")

    await world.worker(busy, quick)
    ticket = await world.ask("busy")
    await world.has(ticket, "step.started")
    began = time.monotonic()
    other = await world.ask("quick")
    assert (await world.reaches(other)).status is RunStatus.COMPLETED
    assert (await world.run(ticket)).status is RunStatus.RUNNING
    # Without a worker beside the loop, all of the 1.5 s would have to pass.
    assert time.monotonic() - began < 1.4
    run = await world.reaches(ticket)
    # The lease of a second was renewed meanwhile: nobody took the run over.
    assert (run.status, run.attempts) == (RunStatus.COMPLETED, 1)


async def test_a_cancelled_process_is_killed_and_the_next_call_gets_another(
    memory_world: World,
) -> None:
    world = memory_world

    @workflow("spinning")
    async def spinning(ctx: WorkflowContext, input: float) -> Any:
        if input:
            return await ctx.step("spin", spins, input, offload="process")
        return await ctx.step("square", square, 7, offload="process")

    await world.worker(spinning)
    ticket = await world.ask("spinning", 3600.0)
    await world.has(ticket, "step.started")
    await world.cancel(ticket)
    assert (await world.reaches(ticket)).status is RunStatus.CANCELLED
    ticket = await world.ask("spinning", 0)
    await world.reaches(ticket, RunStatus.COMPLETED)
    assert data((await world.events(ticket.session))[-1])["result"] == 49
    close_processes()


async def test_an_offloaded_steps_error_comes_back_and_a_dead_process_is_one(
    memory_world: World,
) -> None:
    world = memory_world
    told: list[str] = []

    @workflow("unlucky")
    async def unlucky(ctx: WorkflowContext, input: None) -> None:
        for name, function in (("a", raises), ("b", exits), ("c", lambda: 1)):
            try:
                await ctx.step(name, function, offload="process")
            except StepError as error:
                told.append(str(error))
        try:
            await ctx.step("late", spins, 60.0, offload="process", timeout_s=0.3)
        except StepTimeout as error:
            told.append(str(error))

    await world.worker(unlucky)
    ticket = await world.ask("unlucky")
    await world.reaches(ticket, RunStatus.COMPLETED)
    assert told[0] == "'a' of workflow 'unlucky': KeyError: 'from afar'"
    assert "died with exit code 3" in told[1]
    assert "move it to the top of a module" in told[2]
    assert "not done within its timeout of 0.3 s" in told[3]
    check_log(await world.events(ticket.session))
    close_processes()


async def test_an_error_that_quotes_a_secret_of_the_environment_is_recorded_without_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "SHOP_API_KEY", "sk-very-secret-1234")
    monkeypatch.setitem(os.environ, "SHOP_PASSWORD", "tr0ub4dor")
    monkeypatch.setitem(os.environ, "SHOP_REGION", "eu-central")

    @workflow("careless")
    async def careless(ctx: WorkflowContext, input: None) -> None:
        def call() -> None:
            raise ConnectionError(
                "401 for key sk-very-secret-1234 in eu-central at postgres://me:hunter22@db/x"
            )

        with suppress(StepError):
            async with ctx.agent("Ann") as ann:
                await ann.step("call", call)
        with suppress(StepError):
            await ctx.tool("call", call)
        raise RuntimeError("tr0ub4dor does not work")

    await world.worker(careless)
    ticket = await world.ask("careless")
    await world.reaches(ticket, RunStatus.FAILED)
    log = b"".join(e.body for e in await world.events(ticket.session))
    for secret in (b"sk-very-secret-1234", b"tr0ub4dor", b"hunter22"):
        assert secret not in log
    assert b"401 for key [secret] in eu-central at postgres://me:[secret]@db/x" in log
    kept = (await world.claims.journal(ticket.run_id)).results
    assert not any(b"sk-very-secret-1234" in body for body in kept.values())
