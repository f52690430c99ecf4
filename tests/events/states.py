"""Short ways to write a log and to look at what it adds up to."""

from typing import Any

from holdfast.events.catalog import Event
from holdfast.events.fold import State, fold, to_plain
from holdfast.events.recorded import Context, Emission
from tests.events.samples import log


def at(
    event: Event, *, run: str | None = "r", step: str | None = None, attempt: int = 1, **more: str
) -> Emission:
    return Emission(event, Context(run_id=run, step=step, attempt=attempt, **more))


def state_of(*emissions: Emission) -> State:
    return fold(log(emissions))


def only(state: State, table: str) -> dict[str, Any]:
    [entry] = to_plain(state)[table]
    return entry
