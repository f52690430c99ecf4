"""A broken promise, with the least that shows it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from holdfast.verify.history import Fault
from holdfast.verify.invariants import Invariant

# What was done last before the violation is what a person looks at; programs get the whole schedule.
FAULTS_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One row of some log, on the timeline of a witness. `bad` marks the row that breaks the promise."""

    at: float | None
    log: str
    seq: int | None
    what: str
    bad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that a history breaks: the first place, and the rows around it."""

    invariant: Invariant
    says: str
    session: str | None = None
    seq: int | None = None
    client: str | None = None
    connection: int | None = None  # of the client's, from 0
    row: int | None = None  # of the connection's
    at: float | None = None
    more: int = 0  # further places where the same invariant is broken, not shown
    witness: Sequence[Line] = ()
    seed: int | str | None = None
    schedule: Sequence[Fault] = ()

    def counting(self, more: int) -> "Violation":
        """Return the same with the number of those that are not shown."""
        return replace(self, more=more)

    def text(self) -> str:
        """Return it for a person: what is broken and where, the rows around it, how to do it again."""
        where = f" in session {self.session}" if self.session else ""
        at = f" at seq {self.seq}" if self.seq is not None else ""
        lines = [f"{self.invariant} {self.invariant.words}: {self.says}{where}{at}"]
        known = [line.at for line in self.witness if line.at is not None]
        begun = min(known) if known else 0.0
        if known:
            lines.append(f"  +0.000 is {_clock(begun)}")
        width = max((len(line.log) for line in self.witness), default=0)
        for line in self.witness:
            time = f"{line.at - begun:+10.3f}" if line.at is not None else " " * 10
            seq = f"{line.seq:>7}" if line.seq is not None else " " * 7
            mark = ">" if line.bad else " "
            lines.append(f"{mark} {time}  {line.log:<{width}} {seq}  {line.what}".rstrip())
        if self.more:
            lines.append(f"  and {self.more} more of {self.invariant}")
        if self.seed is not None:
            lines.append(f"  seed {self.seed}")
        until = max(known) if known else float("inf")
        before = [fault for fault in self.schedule if fault.at <= until]
        lines += [f"  {_clock(fault.at)} {fault.what}" for fault in before[-FAULTS_SHOWN_MAX:]]
        return "\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "invariant": self.invariant.value,
            "title": self.invariant.words,
            "says": self.says,
            "session": self.session,
            "seq": self.seq,
            "client": self.client,
            "more": self.more,
            "seed": self.seed,
            "schedule": [{"at": fault.at, "what": fault.what} for fault in self.schedule],
            "witness": [
                {
                    "at": line.at,
                    "log": line.log,
                    "seq": line.seq,
                    "what": line.what,
                    "bad": line.bad,
                }
                for line in self.witness
            ],
        }


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
