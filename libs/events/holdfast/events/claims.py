"""Who owns which session, for how long, and what an owner needs to know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from holdfast.events.commands import Command
from holdfast.events.rows import Run, SessionStatus

# So many commands of each session at a look; its owner looks again when it has settled them. Without a bound for each,
# they would hide each other: a thousand events emitted into one session, and nobody's run is cancelled meanwhile.
COMMANDS_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A session that this worker now owns, until the lease runs out."""

    session: int
    tenant: str
    session_id: str
    status: SessionStatus
    epoch: int
    head: int
    published: int
    last_ts: datetime | None
    metadata: Mapping[str, Any]
    ttl_s: int | None
    taken_over: bool  # the last owner did not release it
    commands: Sequence[Command]  # COMMANDS_AT_ONCE of them at most
    runs: Sequence[Run]  # those that have not ended, oldest first
    slot: str | None = None  # the run that was given its slot with the claim
    limited: bool = False  # a limit was in force: where this one's run ends another may begin


@dataclass(frozen=True, slots=True)
class Journal:
    """What is recorded of a run: the keys of its events with their seqs, and its steps' results."""

    keys: Mapping[str, tuple[int, str]]  # key → (seq, type)
    results: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Look:
    """What is open in a session, as of one moment."""

    commands: Sequence[Command]  # oldest first, COMMANDS_AT_ONCE of them at most
    runs: Sequence[Run]  # oldest first


class Claims(Protocol):
    """Who owns which session. All times are the database's."""

    async def claim(
        self, worker: str, *, workflows: Sequence[str], lease_s: float, limit: int
    ) -> Sequence[Claim]:
        """Own up to `limit` sessions with something to do: an open command, a due run, a lease that ran out.

        Those whose turn is first come first. A run that has to begin, or to go on after a wait, is work only if there
        is a slot for it, and is given that with the claim (see `slots`). Each session gets epoch + 1. A lease that ran
        out is taken over only one lease after Postgres started, so that owners can come back first. Never two workers
        at once for one session. Commands of a kind that this version doesn't know are no work: they stay open for a
        version that does.
        """
        ...

    async def limited(self, worker: str, workflow: str) -> bool:
        """Tell whether a run of this workflow needs a slot, which a claim gives and nobody else.

        For a run that came to its turn after the claim: its owner gives the session back, and whoever's turn is first,
        of all sessions, gets the next slot.
        """
        ...

    async def renew(
        self, worker: str, sessions: Mapping[int, int], *, lease_s: float
    ) -> frozenset[int]:
        """Extend the leases of session → epoch; return those that are lost: stop their runs, append nothing more.

        A session whose row somebody holds just now is neither extended nor lost; the next renewal tells. So nobody
        who holds one session can make its owner lose the others.
        """
        ...

    async def release(self, sessions: Mapping[int, int], *, published: Mapping[int, int]) -> None:
        """Give up sessions (session → epoch) so that anybody may claim them at once."""
        ...

    async def let_go(self, session: int, *, epoch: int, published: int) -> bool:
        """Release the session if nothing is to be done in it: no command is open, and no run is due or at work.

        Return False, with the session still ours, if there is something. What is asked after a True finds the session
        released already: so nobody need look for it. True, too, if it isn't ours any more.
        """
        ...

    async def look(self, session: int) -> Look:
        """Return what is open in the session: `pending` and `open_runs` at once."""
        ...

    async def pending(self, sessions: Sequence[int]) -> Sequence[Command]:
        """Return the open commands of these sessions, oldest first, COMMANDS_AT_ONCE of each at most."""
        ...

    async def open_runs(self, session: int) -> Sequence[Run]:
        """Return the session's runs that have not ended, oldest first."""
        ...

    async def journal(self, run_id: str) -> Journal:
        """Return what is recorded of a run."""
        ...

    async def strike(self, run_id: str, *, session: int, epoch: int) -> int:
        """Count a takeover of the run that brought no new step yet; return how many there were in a row.

        Only the session's owner at that epoch strikes: for anybody else nothing is counted and 0 returned.
        """
        ...

    async def erase_some(self, session: int, *, epoch: int, limit: int) -> bool:
        """Delete the oldest of what an erasure of the session deletes, `limit` rows of each kind; say if there is more.

        For its owner at that epoch, when the erasure was asked for and no run is open; for anybody else nothing is
        deleted. A transaction of its own, so that no session is too long for the one that appends `session.erased`:
        that deletes what is left. Half done it looks like retention; the command is still open and goes on with it.
        """
        ...

    async def unpublished(self, *, limit: int) -> Sequence[tuple[int, int, int]]:
        """Return (session, published, head) of unowned sessions whose stream is behind, for the sweep."""
        ...

    async def mark_published(self, published: Mapping[int, int]) -> None:
        """Note how far the streams of these sessions are."""
        ...

    async def erased(self, *, within_s: float, limit: int) -> Mapping[int, int]:
        """Return the sessions erased in the last `within_s` seconds, newest first, each with its head."""
        ...

    async def expire_due(self, *, limit: int) -> int:
        """Ask for the expiry of sessions whose time to live ran out; return how many.

        Also forgets what was only kept for a time: answers to repeated requests after ANSWER_KEPT_S, at most `limit`
        at once, and announced workflows that no worker has confirmed for WORKFLOW_KEPT_S.
        """
        ...
