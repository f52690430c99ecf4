"""What is set while a schedule runs, and put back afterwards.

Durations are measured in virtual time: what workflows measure with the machine's own clock would differ from run to
run. The lease's ticker ticks twice a renewal instead of ten times: it was a third of all steps. And asyncio keeps no
list of all tasks, a weak reference for each: the loop has its own, and nothing that is simulated asks for it.
"""

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from holdfast.orchestrator import lease
from tests.simulation.loop import SimulatedLoop

TICKS_PER_RENEWAL = 2


@lru_cache(maxsize=1)
def _timing(_known: int) -> list[Any]:
    """Return all modules of the ctx that measure, so that none is forgotten when it is divided otherwise."""
    return [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("holdfast.orchestrator.context_") and hasattr(module, "time")
    ]


def _no_list(_: object) -> None:
    pass


def _known_tasks() -> Any:
    """Return where asyncio lists every task, by the name that this Python gives it (3.11; since 3.12)."""
    return vars(asyncio.tasks).get("_all_tasks", vars(asyncio.tasks).get("_scheduled_tasks"))


@contextmanager
def setting(loop: SimulatedLoop) -> Generator[None]:
    """Have steps and messages measured in virtual time, and the lease tick less often."""
    modules = _timing(len(sys.modules))
    before = [module.time for module in modules]
    for module in modules:
        module.time = SimpleNamespace(monotonic=loop.time)
    ticks, lease.TICKS_PER_RENEWAL = lease.TICKS_PER_RENEWAL, TICKS_PER_RENEWAL
    known: Any = _known_tasks()
    known.add = _no_list
    try:
        yield
    finally:
        del known.add
        lease.TICKS_PER_RENEWAL = ticks
        for module, time in zip(modules, before, strict=True):
            module.time = time
