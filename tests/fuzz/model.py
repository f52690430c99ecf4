"""What the API promises, as plainly as it can be said: sessions, their runs in a row, and what each call answers.

The model is of a settled session: whatever a worker can do is done. Then one run at most waits, the ones behind it are
queued, and everything else has ended.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

OPEN = ("queued", "waiting")


@dataclass
class ModelRun:
    """A run as its callers see it."""

    run_id: str
    workflow: str
    text: str
    status: str = "queued"
    input_id: str | None = None  # what it asked for, once it was seen waiting
    answered: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


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
        self.settle()

    def settle(self) -> None:
        """Do whatever can be done."""
        for run in self.open_runs:
            if run.workflow == "ask" and not run.answered:
                run.status = "waiting"
                return
            if run.workflow == "fail":
                run.status = "failed"
            else:
                run.status = "completed"
                self.said.append(run.text)

    def cancel(self, run: ModelRun) -> None:
        """End a run that is open."""
        run.status = "cancelled"
        self.settle()

    def answer(self, run: ModelRun) -> None:
        """Let a run go on."""
        run.answered = True
        self.settle()

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
