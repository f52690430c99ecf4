"""What a kind of agent can do beside running to its end: said by its executor, shown in the docs, held by tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

from pydantic import JsonValue

from holdfast.orchestrator.scribe import Missing, Scribe

Resumes = Literal["call", "node", "task", "turn"]
"""Where a takeover goes on: at the recorded call, the graph's node, the remote task or the agent's turn."""

Kept = Callable[[str], JsonValue | Missing]
"""Looks up what a run has recorded under a key."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What callers may rely on.

    What is in the middle when a worker dies is announced by `step.restarted` and done over from the place that
    `resumes` names; everything before it is neither done nor told again. `cancel` tells whether the end of a run is
    also told to somebody elsewhere, beyond closing the connection or the coroutine.
    """

    resumes: Resumes
    input: bool = True
    cancel: Literal["stopped", "forwarded"] = "stopped"
    lanes: bool = True


@runtime_checkable
class Able(Protocol):
    """An executor that says what it can do."""

    abilities: ClassVar[Abilities]


@runtime_checkable
class Drains(Protocol):
    """An executor that can stop at a boundary of its own, where nothing has to be done over."""

    def drain(self, scribe: Scribe) -> bool:
        """Stop soon, with an asyncio.CancelledError; return False when it can only be interrupted."""
        ...


@runtime_checkable
class Forwards(Protocol):
    """An executor whose work goes on elsewhere unless it is told to stop."""

    async def cancelled(self, run_id: str, kept: Kept) -> None:
        """The run was cancelled and nobody executes it any more: tell whoever else works on it. May fail."""
        ...
