"""One run and the runs that it started, as one attempt sees them: they share a session log, a lease and an end."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from holdfast.events.catalog import ErrorInfo, RunCancelled
from holdfast.events.commands import Command
from holdfast.events.recorded import Context, Emission
from holdfast.events.store import Effect, Run, RunChange, RunStatus

if TYPE_CHECKING:
    from holdfast.orchestrator.running import Cancellation
    from holdfast.orchestrator.scribe import Scribe
    from holdfast.orchestrator.workflow import Workflow

# 128 bits, as in every other id of a run.
_ID_DIGITS = 32

PARENT_ENDED = "the run that started it has ended"


def child_run_id(parent_run_id: str, key: str) -> str:
    """Return the id of the run that a run starts at this place: the same on every replay."""
    digest = hashlib.sha256(f"{parent_run_id}/{key}".encode()).hexdigest()
    return f"run_{digest[:_ID_DIGITS]}"


def outcome_key(run_id: str) -> str:
    """Return the key under which a parent has what became of its child."""
    return f"outcome:{run_id}"


def descendants(run_id: str, runs: Sequence[Run]) -> list[Run]:
    """Return those of the runs that this one started, and those that they started: parents before children."""
    family, found = {run_id}, list[Run]()
    left = [run for run in runs if run.parent_run_id is not None]
    while more := [run for run in left if run.parent_run_id in family]:
        found += more
        family |= {run.run_id for run in more}
        left = [run for run in left if run.run_id not in family]
    return found


def root_of(run: Run, runs: Sequence[Run]) -> Run:
    """Return the run at the beginning of this one's line, as far as `runs` tell."""
    known = {other.run_id: other for other in runs}
    while run.parent_run_id is not None and run.parent_run_id in known:
        run = known[run.parent_run_id]
    return run


def endings(
    runs: Sequence[tuple[Run, Context]], reason: str | None, *, now: datetime
) -> tuple[list[Emission], list[Effect]]:
    """Return what ends children together with their parent, the youngest first."""
    emissions: list[Emission] = []
    effects: list[Effect] = []
    for run, context in reversed(runs):
        age_ms = max(0, int((now - run.created_at).total_seconds() * 1000))
        event = RunCancelled(reason=reason or PARENT_ENDED, duration_ms=age_ms)
        emissions.append(Emission(event, context))
        effects.append(
            RunChange(run_id=run.run_id, status=RunStatus.CANCELLED, waiting={}, due_in_s=0)
        )
    return emissions, effects


def cancelled_outcome(reason: str | None) -> dict[str, Any]:
    """Return what a parent learns of a child that somebody cancelled."""
    info = ErrorInfo(code="cancelled", message=f"cancelled: {reason}" if reason else "cancelled")
    return {"error": info.model_dump(exclude_none=True)}


class Family:
    """The scribes of one attempt: the root's, and those of the children that have not ended."""

    def __init__(self, root: "Scribe") -> None:
        self.root = root
        self.reason = "takeover"  # why its runs that had begun before go on
        self.children: dict[str, Scribe] = {}
        self._working: dict[str, asyncio.Task[Any]] = {}
        self._workflows: dict[str, Workflow] = {}
        self._cancelled: dict[str, Cancellation] = {}
        self._news: asyncio.Future[None] | None = None

    def find(self, run_id: str | None) -> "Scribe | None":
        """Return the scribe of a run of this family."""
        if run_id == self.root.run.run_id:
            return self.root
        return None if run_id is None else self.children.get(run_id)

    def join(self, scribe: "Scribe") -> None:
        """Take in a child's scribe, in place of an earlier one of the same run."""
        self.children[scribe.run.run_id] = scribe

    def leave(self, run_id: str) -> None:
        """A child has ended."""
        self.children.pop(run_id, None)

    def open_children(self, run_id: str) -> "list[Scribe]":
        """Return the children of a run that have not ended, and theirs."""
        runs = [scribe.run for scribe in self.children.values()]
        return [self.children[run.run_id] for run in descendants(run_id, runs)]

    def works(self, run_id: str, workflow: "Workflow", task: asyncio.Task[Any]) -> None:
        """A task works on a child."""
        self._working[run_id], self._workflows[run_id] = task, workflow
        task.add_done_callback(lambda done: self._rests(run_id, done))

    def _rests(self, run_id: str, task: asyncio.Task[Any]) -> None:
        if self._working.get(run_id) is task:
            del self._working[run_id]

    def cancel(self, run_id: str, cancellation: "Cancellation") -> bool:
        """End a child that is at work; return False when nobody works on it, or it is being ended already."""
        task = self._working.get(run_id)
        if task is None or run_id in self._cancelled:
            return False
        self._cancelled[run_id] = cancellation
        task.cancel()
        return True

    def cancellation(self, run_id: str) -> "Cancellation | None":
        """Return who asked for the end of a child, if anybody did."""
        return self._cancelled.get(run_id)

    @property
    def unheeded(self) -> list[Command]:
        """The commands to cancel children that came too late."""
        return [one.command for one in self._cancelled.values() if one.command is not None]

    def end(
        self, scribe: "Scribe", reason: str | None, *, now: datetime, own: bool = False
    ) -> tuple[list[Emission], list[Effect], "list[tuple[Workflow, Scribe]]"]:
        """Close the children below a run, and with `own` the run itself; return what ends them, and who they were."""
        ending = [scribe] if own else []
        ending += self.open_children(scribe.run.run_id)
        emissions, effects = endings([(one.run, one.context) for one in ending], reason, now=now)
        known: list[tuple[Workflow, Scribe]] = []
        for one in ending:
            run_id = one.run.run_id
            if not one.over:
                one.flush()
            one.close()
            self.leave(run_id)
            if (workflow := self._workflows.get(run_id)) is not None:
                known.append((workflow, one))
            if (asked := self._cancelled.pop(run_id, None)) is not None:
                emissions[:0], effects[:0] = asked.emissions, asked.effects
        return emissions, effects, known

    @property
    def news(self) -> "asyncio.Future[None]":
        """What is done when the next answer, note or outcome comes in. Not to be cancelled: it is everybody's."""
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        return self._news

    def tell(self) -> None:
        """Wake up whoever waits for news."""
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)
