"""An application's own events are appended by the session's owner, beside whatever runs."""

import asyncio
from typing import Literal

import pytest

from holdfast.events.catalog.custom import CustomEvent, register_custom
from holdfast.events.store import OwnEvent
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow
from tests.factories import TENANT
from tests.orchestrator.harness import World


@register_custom
class OrderPaid(CustomEvent):
    type: Literal["custom.test.order_paid"] = "custom.test.order_paid"
    amount: int


async def emit(world: World, session_id: str, type_: str, **data: object) -> None:
    session = await world.store.desk.emit(TENANT, session_id, OwnEvent(type=type_, data=data))
    await world.stream.hint_work(session.session)


async def test_an_own_event_is_appended_without_any_run(world: World):
    session = await world.store.desk.create_session(TENANT, "s", metadata={"a": 1})
    worker = await world.worker()

    await emit(world, "s", "custom.order.paid", amount=12)
    await worker.until(lambda: _has(world, session.session, "custom.order.paid"))

    event = (await world.events(session.session))[-1]
    assert event.envelope["data"] == {"amount": 12}
    assert "run_id" not in event.envelope


async def test_an_own_event_comes_in_between_while_a_run_goes_on(world: World):
    go = asyncio.Event()

    @workflow("waits")
    async def waits(ctx: WorkflowContext, _: None) -> str:
        await go.wait()
        return "done"

    worker = await world.worker(waits)
    ticket = await world.ask("waits")
    await worker.until(lambda: _has(world, ticket.session, "run.started"))

    await emit(world, ticket.session_id, "custom.order.paid")
    await worker.until(lambda: _has(world, ticket.session, "custom.order.paid"))
    go.set()
    await worker.until(lambda: _has(world, ticket.session, "run.completed"))

    types = [e.type for e in await world.events(ticket.session)]
    assert types[-2:] == ["custom.order.paid", "run.completed"]


@pytest.mark.parametrize("data", [{}, {"amount": "much"}, {"amount": 1, "more": 2}])
async def test_an_own_event_that_does_not_fit_its_model_is_rejected(
    world: World, data: dict[str, object]
):
    session = await world.store.desk.create_session(TENANT, "s")
    worker = await world.worker()

    await emit(world, "s", "custom.test.order_paid", **data)
    await worker.until(lambda: _has(world, session.session, "command.rejected"))

    event = (await world.events(session.session))[-1]
    assert (event.envelope["data"]["kind"], event.envelope["data"]["reason"]) == (
        "emit",
        "invalid",
    )


async def _has(world: World, session: int, type_: str) -> bool:
    return any(e.type == type_ for e in await world.events(session))
