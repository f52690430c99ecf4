"""What can be run, as the workers announced it, and whether an input fits.

A gateway asks the table at most once a second; before it says that something is unknown it looks again.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from holdfast.events.clock import Clock
from holdfast.events.store import Registry, WorkflowInfo
from holdfast.gateway.problems import Problem
from holdfast.gateway.schemas import SchemaBroken, schema_errors

# A workflow that a worker just loaded is on the list this soon at the latest.
CACHE_S = 1.0

# So many names are shown to someone who mistyped one.
KNOWN_NAMES_MAX = 50


class Workflows:
    """The registry, read through a cache of a second that all requests share."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry, self._clock = registry, clock
        self._items: Sequence[WorkflowInfo] = ()
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def items(self, *, newer_than: float | None = None) -> Sequence[WorkflowInfo]:
        """Return every workflow as of at most CACHE_S ago, or as of after `newer_than`."""
        oldest = self._clock.monotonic() - CACHE_S if newer_than is None else newer_than
        if self._read_at <= oldest:
            async with self._reading:
                if self._read_at <= oldest:
                    begun = self._clock.monotonic()
                    self._items = await self._registry.workflows()
                    self._read_at = begun
        return self._items

    async def check(self, name: str, value: Any) -> None:
        """Raise Problem unless the workflow is known, can run, and takes this input."""
        asked_at = self._clock.monotonic()
        problem = _judge(await self.items(), name, value)
        if problem is not None and self._read_at < asked_at:
            # A worker may have announced a new name or a mended version within the last second.
            problem = _judge(await self.items(newer_than=asked_at), name, value)
        if problem is not None:
            raise problem


def _judge(items: Sequence[WorkflowInfo], name: str, value: Any) -> Problem | None:
    versions = [item for item in items if item.name == name]
    if not versions:
        known = sorted({item.name for item in items})[:KNOWN_NAMES_MAX]
        return Problem(
            422,
            "workflow-unknown",
            f"no worker has announced a workflow {name!r}; known: {', '.join(known) or 'none'}",
            errors=[{"in": "body", "pointer": "/workflow", "detail": "is not a known workflow"}],
            known=known,
        )
    healthy = [item for item in versions if item.load_error is None]
    if not healthy:
        return _broken(name, versions[-1].load_error or "")
    # While versions change, any of them may get the run: an input that one of them takes is let through,
    # and those that live workers have are asked first.
    healthy.sort(key=lambda item: not item.workers)
    problem: Problem | None = None
    for item in healthy:
        found = _judge_input(item, value)
        if found is None:
            return None
        problem = problem or found
    return problem


def _judge_input(workflow: WorkflowInfo, value: Any) -> Problem | None:
    if workflow.input_schema is None:
        return None
    try:
        errors = schema_errors(workflow.input_schema, value, at=("input",))
    except SchemaBroken as error:
        return _broken(workflow.name, f"its input schema is broken: {error}")
    if not errors:
        return None
    return Problem(
        422,
        "input-invalid",
        f"the input does not fit workflow {workflow.name!r}: "
        f"{errors[0]['pointer']}: {errors[0]['detail']}",
        errors=errors,
    )


def _broken(name: str, reason: str) -> Problem:
    return Problem(
        409,
        "workflow-broken",
        f"workflow {name!r} can't run: {reason}",
        load_error=reason,
    )
