"""Deliberate bugs: each is a mistake that somebody could make in the product, and each must be found by a campaign.

They are patches from outside: the product has no switch by which it could be broken in production.
"""

# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from holdfast.events.append_memory import MemoryWriter
from holdfast.events.claims_memory import MemoryClaims
from holdfast.events.commands import Command, CommandKind, CommandState
from holdfast.events.recorded import Emission, RecordedEvent
from holdfast.events.store import (
    CommandDone,
    Journal,
    Outcome,
    SessionBatch,
)
from holdfast.gateway.tail import Tail
from holdfast.orchestrator.docket import Docket
from holdfast.orchestrator.lease import LeaseKeeper
from holdfast.orchestrator.recorder import Recorder
from holdfast.orchestrator.scribe import Scribe
from holdfast.orchestrator.session_log import Entry, SessionLog
from holdfast.orchestrator.sweeper import Sweeper
from tests.simulation import mutants_gateway
from tests.simulation.mutant import Mutant
from tests.simulation.mutants_gateway import Patches


def _nothing(*_: Any) -> None:
    pass


def _patched(patches: Callable[[], Patches]) -> Callable[[], AbstractContextManager[None]]:
    @contextmanager
    def apply() -> Generator[None]:
        with ExitStack() as stack:
            for where, name, mutation in patches():
                stack.enter_context(patch.object(where, name, mutation))
            yield

    return apply


# --- the log ------------------------------------------------------------------------------------------


def _no_fence() -> Patches:
    """An append goes to the end of the log, whatever its writer believes of epoch and head."""

    def stands(self: MemoryWriter, batch: SessionBatch) -> bool:
        return batch.session in self._state.sessions

    yield MemoryWriter, "_stands", stands


def _no_epoch() -> Patches:
    """An append is refused for its head alone: whoever comes first after a takeover wins, and be it the zombie."""

    def stands(self: MemoryWriter, batch: SessionBatch) -> bool:
        row = self._state.sessions.get(batch.session)
        return row is not None and row.head == batch.expected_head

    yield MemoryWriter, "_stands", stands


def _two_ends() -> Patches:
    """A run that was taken over tells its end twice, and no unique index stands behind it."""
    finish = Scribe.finish

    def twice(self: Scribe, emissions: Sequence[Emission], effects: Sequence[Any]) -> Entry:
        return finish(self, [*emissions, emissions[-1]] if self.attempt > 1 else emissions, effects)

    yield Scribe, "finish", twice
    yield MemoryWriter, "_check_rules", _nothing


def _results_forgotten() -> Patches:
    """A takeover begins without what its predecessor recorded, and the log takes a key twice."""

    async def journal(self: MemoryClaims, run_id: str) -> Journal:
        return Journal({}, {})

    yield MemoryClaims, "journal", journal
    yield MemoryWriter, "_check_rules", _nothing


# --- the write path -----------------------------------------------------------------------------------


def _acked_before_commit() -> Patches:
    """Whoever waits for an event to be on disk is told so when it was handed over."""

    async def durable(self: Entry) -> None:
        if self.error is not None:
            raise self.error

    yield Entry, "durable", durable


def _published_before_commit() -> Patches:
    tried = Recorder._try

    async def publish_first(self: Recorder, works: Sequence[Any]) -> Any:
        for work in works:
            self._announcer.committed(work.session, _events_of(work.session, work.entries))
        return await tried(self, works)

    yield Recorder, "_try", publish_first


def _events_of(session: SessionLog, entries: Sequence[Entry]) -> list[RecordedEvent]:
    return [
        RecordedEvent(entry.first + i, emission.event.type, emission.context.run_id, body)
        for entry in entries
        for i, (emission, body) in enumerate(zip(entry.emissions, entry.bodies, strict=True))
    ]


def _resolved_as(outcome: Outcome) -> Callable[[], Patches]:
    """Nobody asks what became of a commit whose reply was lost."""

    def patches() -> Patches:
        resolve = Recorder._resolve

        async def guess(self: Recorder, works: Sequence[Any]) -> Any:
            class Guess:
                async def resolve(self, batches: Sequence[SessionBatch]) -> Mapping[int, Outcome]:
                    return {batch.session: outcome for batch in batches}

            with patch.object(self, "_writer", Guess()):
                return await resolve(self, works)

        yield Recorder, "_resolve", guess

    return patches


def _lost_command() -> Patches:
    """A cancel that comes while its run executes is taken note of and dropped."""
    take = Docket._take

    async def drop(self: Docket, command: Command) -> None:
        if command.kind is CommandKind.CANCEL and self._attempt is not None:
            self.append([], [CommandDone(command.command_id, CommandState.ACCEPTED)])
        else:
            await take(self, command)

    yield Docket, "_take", drop


def _endless_poison() -> Patches:
    """Takeovers are not counted: a run that kills its workers is tried for ever."""

    async def strike(self: MemoryClaims, run_id: str, *, session: int, epoch: int) -> int:
        return 0

    yield MemoryClaims, "strike", strike


def _leases_of_the_blocked() -> Patches:
    """Leases are never given up: a worker renews what it holds although its sessions were released."""
    yield LeaseKeeper, "drop", _nothing


# --- nobody looks --------------------------------------------------------------------------------------


def _nobody_looks() -> Patches:
    """Neither a sweep nor a head check: what one publish lost is lost until the next event."""

    async def nothing(self: Any) -> None:
        return None

    async def never(self: Any) -> None:
        await asyncio.get_running_loop().create_future()

    yield Tail, "check", nothing
    yield Sweeper, "run", never


MUTANTS: Mapping[str, Mutant] = {
    name: Mutant(name, breaks, _patched(patches))
    for name, breaks, patches in (
        ("no-fence", "a worker that lost its session appends on", _no_fence),
        ("no-epoch", "a worker that was replaced appends before its successor does", _no_epoch),
        ("two-ends", "a run ends twice", _two_ends),
        ("results-forgotten", "a takeover calls steps again that had a result", _results_forgotten),
        (
            "acked-before-commit",
            "a step is called before its start is on disk",
            _acked_before_commit,
        ),
        (
            "published-before-commit",
            "a client sees what was never committed",
            _published_before_commit,
        ),
        (
            "unknown-is-recorded",
            "an event is acked that is not in the log",
            _resolved_as(Outcome.RECORDED),
        ),
        (
            "unknown-is-absent",
            "a commit is sent again that is in the log",
            _resolved_as(Outcome.ABSENT),
        ),
        ("lost-command", "a command is neither accepted nor rejected", _lost_command),
        ("endless-poison", "a run that kills its workers never ends", _endless_poison),
        (
            "leases-for-ever",
            "a session is held by a worker that does nothing for it",
            _leases_of_the_blocked,
        ),
        ("nobody-looks", "an event that was not published reaches nobody", _nobody_looks),
        ("gap-ignored", "a client misses what the window misses", mutants_gateway.gap_ignored),
        ("push-unchecked", "a client misses what wake-ups miss", mutants_gateway.push_unchecked),
        (
            "from-the-end",
            "a client misses what came while it was away",
            mutants_gateway.from_the_end,
        ),
        ("inclusive-after", "a client gets the last event again", mutants_gateway.inclusive_after),
        ("cursor-ignored", "a client gets everything again", mutants_gateway.cursor_ignored),
        (
            "id-on-heartbeat",
            "a client's cursor runs ahead of what it got",
            mutants_gateway.id_on_heartbeat,
        ),
        (
            "slow-client-skips",
            "a slow client misses what fell out of the ring",
            mutants_gateway.slow_client_skips,
        ),
        (
            "chorus-forgotten",
            "a client gets again what it was told together with others",
            mutants_gateway.chorus_forgotten,
        ),
        (
            "chorus-skips",
            "clients that are told together miss what came at once",
            mutants_gateway.chorus_skips,
        ),
        (
            "chorus-joined-anywhere",
            "a client is told with others who stand elsewhere",
            mutants_gateway.chorus_joined_anywhere,
        ),
        (
            "chorus-falls-silent",
            "a client at the head hears nothing while nothing happens",
            mutants_gateway.chorus_falls_silent,
        ),
        (
            "wake-up-lost",
            "a client sleeps while there is something for it",
            mutants_gateway.wake_up_lost,
        ),
        (
            "pages-of-others",
            "a client gets events of another session",
            mutants_gateway.pages_of_others,
        ),
    )
}
