"""Which workflows there are, and who can run them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowInfo:
    """A workflow that some worker knows, or failed to load."""

    name: str
    version: str
    input_schema: Mapping[str, Any] | None
    description: str | None = None
    load_error: str | None = None
    workers: Sequence[str] = ()  # those seen lately
    # How many runs of it, and of one tenant, may be at work at once over all workers. The smallest number that any
    # live worker gives counts, whatever the version: while a limit is being raised, the lower one holds.
    max_concurrent: int | None = None
    tenant_max_runs: int | None = None


# A worker that has not been seen for three of its ten-second rounds is not counted as live.
WORKER_SEEN_S = 30.0

# A workflow that nobody has announced for this long is forgotten: longer than any outage of all workers.
WORKFLOW_KEPT_S = 7 * 24 * 3600.0


class Registry(Protocol):
    """The table in which workers announce what they can run."""

    async def announce(self, worker: str, workflows: Sequence[WorkflowInfo]) -> None:
        """Replace what this worker announced; also its sign of life."""
        ...

    async def withdraw(self, worker: str) -> None:
        """Say that this worker is gone: what it announced stays known for WORKFLOW_KEPT_S, without a live worker."""
        ...

    async def workflows(self) -> Sequence[WorkflowInfo]:
        """Return every workflow, by name, with the workers seen within WORKER_SEEN_S."""
        ...
