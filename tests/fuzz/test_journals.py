"""Runs that an older version began are gone on with by this one, to the result that they had."""

from typing import Any

import orjson
import pytest

from holdfast.events.fold import fold, to_plain
from holdfast.events.store import RunStatus
from tests.fuzz.journals import JOURNALS, WORKFLOWS, calls, events_of, leave, new_world
from tests.orchestrator.harness import check_log, data, types

NAMES = [path.stem for path in sorted(JOURNALS.glob("*.json"))]


def test_every_workflow_here_has_its_journal() -> None:
    """`python -m tests.fuzz.journals` records what is missing."""
    assert sorted(WORKFLOWS) == NAMES


@pytest.mark.parametrize("name", NAMES)
async def test_a_journal_folds_to_the_state_that_it_had(name: str) -> None:
    recorded = orjson.loads((JOURNALS / f"{name}.json").read_bytes())
    async with new_world() as world:
        ticket = await leave(world, recorded, through=1)
    state = orjson.dumps(to_plain(fold(events_of(recorded, ticket)))).decode()

    told = state.replace(ticket.run_id, "RUN").replace(ticket.session_id, "SESSION")
    assert _facts(orjson.loads(told)) == _facts(recorded["state"])


@pytest.mark.parametrize("name", NAMES)
async def test_all_of_a_journal_is_replayed_and_nothing_is_done_again(name: str) -> None:
    recorded = orjson.loads((JOURNALS / f"{name}.json").read_bytes())
    calls.clear()
    async with new_world() as world:
        ticket = await leave(world, recorded, through=len(recorded["events"]) - 1)
        await world.worker(WORKFLOWS[name])

        run = await world.reaches(ticket)
        events = await world.events(ticket.session)

    before = len(recorded["events"]) - 1
    assert run.status is RunStatus.COMPLETED
    assert data(events[-1])["result"] == recorded["result"]
    assert types(events)[before:] == ["run.resumed", "run.completed"]
    assert [e.body for e in events[:before]] == [
        e.body for e in events_of(recorded, ticket)[:before]
    ]
    assert calls == []
    check_log(events)


@pytest.mark.parametrize("name", NAMES)
async def test_any_beginning_of_a_journal_is_gone_on_with(name: str) -> None:
    """What was not recorded is done again, and only that; what the run returns has the same shape."""
    recorded = orjson.loads((JOURNALS / f"{name}.json").read_bytes())
    started = next(n for n, line in enumerate(recorded["events"], 1) if '"run.started"' in line)
    for through in range(started, len(recorded["events"])):
        async with new_world() as world:
            ticket = await leave(world, recorded, through=through)
            await world.worker(WORKFLOWS[name])

            run = await world.reaches(ticket)
            events = await world.events(ticket.session)

        assert run.status is RunStatus.COMPLETED, through
        # The last three are the time, the chance and an id: new where they had not been recorded.
        assert data(events[-1])["result"][:-3] == recorded["result"][:-3], through
        check_log(events)


def _facts(state: dict[str, Any]) -> dict[str, Any]:
    """What a state says: the version of the fold tells which snapshots it may begin with, and nothing of the log."""
    return {name: value for name, value in state.items() if name != "fold_version"}
