"""What the API promises, as plainly as it can be said: sessions, their runs in a row, and what each call answers.

The model is of settled sessions: whatever a worker can do is done. Then one run at most of each waits for an answer, or
stands still at work, the ones behind it are queued, and everything else has ended. Of the workflow that stands still
one run may be at work, over all sessions and tenants.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

OPEN = ("queued", "waiting", "running")

# What `hold` and `ask` do is not over by itself.
HOLD, ASK = "hold", "ask"


@dataclass
class ModelRun:
    """A run as its callers see it."""

    run_id: str
    workflow: str
    text: str
    number: int = 0  # in the order in which they were asked for, over all sessions
    priority: int = 0
    brief: bool = False  # it may not take as long as anybody's answer
    status: str = "queued"
    input_id: str | None = None  # what it asked for, once it was seen waiting
    answered: bool = False
    released: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


def turn_of(run: ModelRun) -> tuple[int, int]:
    """Return what the queue is ordered by; examples are too short for waiting to count."""
    return -run.priority, run.number


@dataclass
class ModelSession:
    """A session as its callers see it."""

    session_id: str
    tenant: str
    has_ttl: bool
    status: str = "active"
    runs: list[ModelRun] = field(default_factory=list[ModelRun])
    said: list[str] = field(default_factory=list[str])  # in order

    @property
    def open_runs(self) -> list[ModelRun]:
        return [run for run in self.runs if run.is_open]

    def refuses_runs(self) -> tuple[int, str] | None:
        """Return status and code of the answer to whoever asks for a run in a session that is over."""
        if self.status == "erased":
            return 410, "session-gone"
        if self.status == "expired":
            return 409, "session-gone"
        return None

    def start(self, run: ModelRun, on_busy: str) -> None:
        """Take a run in."""
        if on_busy == "interrupt":
            for busy in self.open_runs:
                busy.status = "cancelled"
        self.runs.append(run)

    def next(self) -> ModelRun | None:
        """Return the run whose turn it is: what has begun, else the most important one, else the oldest."""
        begun = [run for run in self.runs if run.status in ("waiting", "running")]
        return (begun or [*sorted(self.open_runs, key=turn_of), None])[0]

    def step(self) -> bool:
        """Do what can be done for the next run without a slot; return whether something was."""
        run = self.next()
        if run is None or (run.workflow == HOLD and not run.released):
            return False
        if run.workflow == ASK and not run.answered and not run.brief:
            changes, run.status = run.status != "waiting", "waiting"
            return changes
        if run.workflow == "fail" or (run.workflow == ASK and not run.answered):
            run.status = "failed"
        else:
            run.status = "completed"
            self.said.append(run.text)
        return True

    def erase(self) -> None:
        """Forget everything but the names."""
        for run in self.open_runs:
            run.status = "cancelled"
        self.status = "erased"
        self.said.clear()


@dataclass
class Kept:
    """The answer that a key remembers."""

    request: tuple[object, ...]
    session_id: str
    run_id: str | None


@dataclass
class Model:
    """Everything that the tenants of one example have."""

    sessions: dict[tuple[str, str], ModelSession] = field(
        default_factory=dict[tuple[str, str], ModelSession]
    )
    keys: dict[tuple[str, str], Kept] = field(default_factory=dict[tuple[str, str], Kept])

    def of(self, tenant: str) -> list[ModelSession]:
        """Return a tenant's sessions, oldest first."""
        return [session for session in self.sessions.values() if session.tenant == tenant]

    def asked(self) -> int:
        """Return the number of the run that is asked for next."""
        return sum(len(session.runs) for session in self.sessions.values())

    def settle(self) -> None:
        """Let workers do whatever can be done."""
        while True:
            while any(session.step() for session in self.sessions.values()):
                pass
            nexts = [run for s in self.sessions.values() if (run := s.next()) is not None]
            holding = [run for run in nexts if run.workflow == HOLD]
            if not holding or any(run.status == "running" for run in holding):
                return
            min(holding, key=turn_of).status = "running"

    def runs(self) -> Iterator[tuple[ModelSession, ModelRun]]:
        """Yield every run with its session."""
        for session in self.sessions.values():
            for run in session.runs:
                yield session, run

    def erase(self, session: ModelSession) -> None:
        """Erase a session, and the answers that keys remember of it."""
        session.erase()
        self.keys = {
            name: kept for name, kept in self.keys.items() if kept.session_id != session.session_id
        }
