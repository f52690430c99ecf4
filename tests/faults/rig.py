"""A stack that a test may break, with its database looked into from the side."""

import os
import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import orjson
import psycopg

from holdfast.local.postgres_server import DATABASE, USER
from tests.e2e.stack import Stack, eventually

# Short enough to wait for; renewals come every 0.67 s, so a machine may stall a worker for 1.3 s without harm.
LEASE_S = 2.0

# What the promise adds to the lease: a poll of 1 s give or take 20 %, a claim, a replay, and a slow machine's rest.
TAKEOVER_SLACK_S = 2.0

WORKERS = ("orchestrator-1", "orchestrator-2")

_ROOT = Path(__file__).parents[2]

_WORKFLOWS = (
    "holdfast.orchestrator.workflows.team",
    "holdfast.orchestrator.workflows.ticker",
    "tests.faults.workflows",
)


@dataclass(frozen=True)
class LogRow:
    """A row of `events`, with what no client sees: the epoch it was written under, and when it was committed."""

    seq: int
    epoch: int
    type: str
    run_id: str | None
    key: str | None
    recorded_at: datetime
    body: bytes

    @property
    def envelope(self) -> dict[str, Any]:
        return orjson.loads(self.body)

    @property
    def data(self) -> dict[str, Any]:
        return self.envelope["data"]


class Rig:
    """Two gateways and two workers, and what a test needs to break them and to look at what is left."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        password = (stack.data_dir / "postgres" / "password").read_text(encoding="ascii").strip()
        address = stack.processes()["postgres"]["address"]
        self._database = psycopg.connect(
            f"postgresql://{USER}:{password}@{address}/{DATABASE}", autocommit=True
        )

    def close(self) -> None:
        """Give up the connection to the database; the stack is the caller's."""
        self._database.close()

    def rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Return what a query gives."""
        return self._database.execute(query.encode(), arguments).fetchall()

    def execute(self, statement: str, *arguments: object) -> None:
        """Do something to the database."""
        self._database.execute(statement.encode(), arguments)

    def owner(self, session: str) -> str | None:
        """Return the worker that has its name on the session, alive or not."""
        return self.rows("select owner from sessions where session_id = %s", session)[0][0]

    def head(self, session: str) -> int:
        """Return the seq of the session's last event."""
        return self.rows("select next_seq - 1 from sessions where session_id = %s", session)[0][0]

    def log(self, session: str) -> list[LogRow]:
        """Return the session's log."""
        found = self.rows(
            """select e.seq, e.epoch, e.type, e.run_id, e.key, e.recorded_at, e.body
                 from events e join sessions s on s.id = e.session
                where s.session_id = %s order by e.seq""",
            session,
        )
        return [LogRow(*row) for row in found]

    def types(self, session: str) -> list[str]:
        """Return the types of the session's events."""
        return [row.type for row in self.log(session)]

    def strikes(self, run_id: str) -> int:
        """Return how many takeovers in a row brought nothing."""
        return self.rows("select strikes from runs where run_id = %s", run_id)[0][0]

    def session(self) -> str:
        """Make a session; return its id."""
        answer = httpx2.post(f"{self.stack.url}/v1/sessions", json={}, timeout=10)
        assert answer.status_code == 201, answer.text
        return answer.json()["session_id"]

    def post(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        """Send JSON to the first gateway."""
        return httpx2.post(f"{self.stack.url}{path}", json=body, timeout=10)

    def ready(self, worker: str) -> bool:
        """Tell whether a worker runs and looks for work."""
        entry = self.stack.processes()[worker]
        if entry["pid"] is None:
            return False
        try:
            return httpx2.get(f"http://{entry['address']}/readyz", timeout=1).status_code == 200
        except httpx2.HTTPError:
            return False

    def both_ready(self) -> None:
        """Wait until both workers look for work: a promise about takeovers speaks of a living worker."""
        for worker in WORKERS:
            eventually(f"{worker} is ready", lambda name=worker: self.ready(name), within_s=40)

    def metric(self, worker: str, name: str) -> float:
        """Return a counter or gauge of a worker, by its whole name."""
        address = self.stack.processes()[worker]["address"]
        text = httpx2.get(f"http://{address}/metrics", timeout=5).text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, f"{worker} has no metric {name}"
        return float(found[1])

    def said(self, worker: str) -> str:
        """Return what a worker has printed so far, over all its lives."""
        return "".join(
            path.read_text(errors="replace") for path in self.stack.data_dir.rglob(f"{worker}.log*")
        )

    def owned(self, session: str, *, within_s: float = 10) -> str:
        """Wait until the session has an owner; return it."""
        return eventually(f"{session} has an owner", lambda: self.owner(session), within_s=within_s)

    def reaches(self, session: str, type: str, *, count: int = 1, within_s: float = 20) -> LogRow:
        """Wait for the `count`th event of a type; return it."""

        def look() -> LogRow | None:
            found = [row for row in self.log(session) if row.type == type]
            return found[count - 1] if len(found) >= count else None

        return eventually(f"{session} reaches {type} number {count}", look, within_s=within_s)


def other(worker: str) -> str:
    """Return the other worker's name."""
    return WORKERS[1 - WORKERS.index(worker)]


def elapsed(since: float, moment: datetime) -> float:
    """Return the seconds from `time.time()` to a moment of the database, which is on this machine."""
    return moment.timestamp() - since


def environment(**more: str) -> dict[str, str]:
    """Return what the stacks of these tests are told."""
    return {
        "HOLDFAST_LEASE_S": str(LEASE_S),
        "HOLDFAST_LLM_OFFLINE_TOKEN_DELAY_S": "0.001",
        "HOLDFAST_WORKFLOWS": ",".join(_WORKFLOWS),
        "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
        **more,
    }


@contextmanager
def rigged(data_dir: Path, **more: str) -> Generator[Rig]:
    """Run two gateways and two workers for the length of a with block."""
    stack = Stack(data_dir, "--gateways", "2", "--orchestrators", "2", **environment(**more))
    try:
        rig = Rig(stack.ready())
        try:
            # `ready` is said of a worker that has announced itself once; its first look comes with it.
            rig.both_ready()
            # Started together on an empty database, where each wants to set it up.
            broken = rig.rows(
                "select worker, name, load_error from workflows where load_error is not null"
            )
            assert broken == []
            yield rig
        finally:
            rig.close()
    finally:
        stack.stop()


def now() -> float:
    """Return the wall clock: the database, on this machine, has the same."""
    return time.time()
