"""A worker's bus tells of what is committed, and of nothing else."""

from pydantic import JsonValue

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import Workflows, workflow
from holdfast.subscribe.bus import listen
from holdfast.subscribe.delivery import Delivery
from tests.factories import TENANT
from tests.orchestrator.harness import World


@workflow("quick")
async def quick(ctx: WorkflowContext, _: JsonValue) -> str:
    return "done"


async def test_listeners_hear_what_is_committed_after_it_is(world: World):
    heard: list[tuple[Delivery, bool]] = []

    @listen("run.*")
    async def look(event: Delivery) -> None:
        log = await world.events(event.session)
        heard.append(
            (event, any(e.seq == event.seq and e.body == event.recorded.body for e in log))
        )

    workflows = Workflows()
    workflows.add(quick)
    workflows.declared.take(look)
    worker = await world.worker(loaded=workflows)

    ticket = await world.ask("quick")
    await worker.until(lambda: len(heard) == 2)

    assert [event.type for event, _ in heard] == ["run.started", "run.completed"]
    assert all(recorded for _, recorded in heard)
    first = heard[0][0]
    assert (first.tenant, first.session, first.session_id) == (
        TENANT,
        ticket.session,
        ticket.session_id,
    )
