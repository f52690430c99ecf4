"""What people say to runs: answers to what was asked, and notes that nobody asked for."""

from collections.abc import Callable, Sequence

from holdfast.events.catalog import InputReceived
from holdfast.events.codec import to_json
from holdfast.events.commands import Command, CommandState
from holdfast.events.recorded import Emission
from holdfast.events.store import CommandDone, Effect, Run, RunChange, RunStatus, StepResult
from holdfast.orchestrator.family import root_of
from holdfast.orchestrator.inputs import answer_effects, answer_key, expired_key, note_key
from holdfast.orchestrator.running import Attempt
from holdfast.orchestrator.scribe import Scribe
from holdfast.orchestrator.session_log import Entry
from holdfast.orchestrator.store_time import StoreTime
from holdfast.orchestrator.verdicts import context_of

Append = Callable[[Sequence[Emission], Sequence[Effect]], Entry]


class Answering:
    """Settles the `input` commands of one session. Belongs to its docket."""

    def __init__(
        self, append: Append, reject: Callable[[Command, str], None], *, time: StoreTime
    ) -> None:
        self._append, self._reject, self._time = append, reject, time
        self.answered: set[str] = set()  # runs that an answer made due

    async def settle(self, command: Command, runs: Sequence[Run], attempt: Attempt | None) -> None:
        """Record what was said, or refuse it. `runs` are the session's open ones; `attempt` is under way.

        A row may be a moment behind an attempt that executes; from the call to the append nothing is awaited.
        """
        run = next((r for r in runs if r.run_id == command.run_id), None)
        if run is None:
            self._reject(command, "already-ended")
            return
        root = root_of(run, runs)
        if attempt is not None and attempt.run.run_id != root.run_id:
            attempt = None
        scribe = None if attempt is None else attempt.scribe.family.find(run.run_id)
        if attempt is not None and (attempt.ended is not None or scribe is None):
            self._reject(command, "already-ended")
        elif (input_id := command.body.get("input_id")) is None:
            await self._note(command, run, root, scribe)
        else:
            await self._answer(command, input_id, run, root, scribe)

    async def _answer(
        self, command: Command, input_id: str, run: Run, root: Run, scribe: Scribe | None
    ) -> None:
        value = command.body.get("value")
        expired = scribe is not None and scribe.recorded(expired_key(input_id))
        waiting = dict(run.waiting if scribe is None else scribe.waiting)
        if expired or input_id not in waiting:
            self._reject(command, "expired")
            return
        waited_ms = self._waited_ms(waiting[input_id])
        event = InputReceived(input_id=input_id, value=value, duration_ms=waited_ms)
        status = RunStatus.WAITING
        if scribe is not None:
            status = RunStatus.WAITING if scribe.family.root.waits else RunStatus.RUNNING
        changes = answer_effects(run, input_id, value, status=status, root=root, waiting=waiting)
        done = CommandDone(command.command_id, CommandState.ACCEPTED)
        emission = Emission(event, context_of(run), key=answer_key(input_id))
        # What the log refuses the workflow must not hear of: appended first, and nothing is awaited in between.
        entry = self._append([emission], [done, *changes])
        if scribe is not None:
            # It loaded its journal before the answer was there, and must not wait for it again.
            scribe.learn(answer_key(input_id), value)
        self.answered.add(root.run_id)
        # The next look at the runs must see that the answer made this one due.
        await entry.durable()

    async def _note(self, command: Command, run: Run, root: Run, scribe: Scribe | None) -> None:
        """Record what somebody tells a run unasked; a run that waits looks at it at once."""
        key, value = note_key(command.command_id), command.body.get("value")
        event = InputReceived(input_id=f"{run.run_id}.{key}", value=value, duration_ms=0)
        effects: list[Effect] = [
            CommandDone(command.command_id, CommandState.ACCEPTED),
            StepResult(run.run_id, key, to_json(value)),
        ]
        waits = root.status is RunStatus.WAITING if scribe is None else scribe.family.root.waits
        if waits:
            effects.append(RunChange(run_id=root.run_id, status=RunStatus.WAITING, due_in_s=0))
            self.answered.add(root.run_id)
        entry = self._append([Emission(event, context_of(run), key=key)], effects)
        if scribe is not None:
            scribe.learn(key, value, event=(entry.first, event.type))
        await entry.durable()

    def _waited_ms(self, asked: dict[str, object]) -> int:
        since = asked.get("asked_ms")
        now_ms = self._time.now().timestamp() * 1000
        return max(0, int(now_ms - since)) if isinstance(since, int | float) else 0
