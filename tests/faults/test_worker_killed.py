"""SIGKILL the owner of a session at any event: the run goes on elsewhere, and its log shows nothing of it but the time.

Each death falls exactly into the commit of a chosen event; the commit is lost in one half of the cases and goes through
in the other. Four more sessions run along, and those of the same worker are hit wherever they happen to be.
`HOLDFAST_FAULTS_ALL=1` goes through every event of a run instead of a sample of each type.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stack import eventually
from tests.faults.evidence import check_ledger, check_log, check_ticks, shown
from tests.faults.gates import Commit, gate
from tests.faults.rig import LEASE_S, TAKEOVER_SLACK_S, Rig, elapsed, now, rigged

pytestmark = [
    pytest.mark.alone,  # a promised bound is asserted: nothing else may use the cores
    pytest.mark.fault,
    pytest.mark.long,
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.timeout(180),  # one death takes 7 s, the first also starts the stack
]

STEPS, TICKS = 12, 60

# 60 ticks of 25 ms and 12 steps of 100 ms go on for some 1.5 s, about as long as the team: a death hits all of them.
INPUTS: dict[str, dict[str, Any]] = {
    "team": {"requirement": "a URL shortener"},
    "ticker": {"events": TICKS, "interval_ms": 25},
    "ledger": {"steps": STEPS, "pause_ms": 100},
}

# (type, how many there are in a run of the team): one death for each type, at a seeded choice among them. Ten of
# these, two of a ticker and two of a ledger take 6 s each, most of it the lease and the start of a new worker.
TEAM_TYPES = (
    ("run.started", 1),
    ("checkpoint.saved", 8),
    ("stage.changed", 4),
    ("step.started", 6),
    ("agent.started", 6),
    ("message.delta", 30),
    ("message.completed", 6),
    ("agent.completed", 6),
    ("step.completed", 6),
    ("run.completed", 1),
)

# A run of the team has some 100 events; a gate beyond its end stops it at its completion, which is a case already.
TEAM_EVENTS_MAX = 130


@dataclass(frozen=True)
class Death:
    """Where a worker dies: in the commit of which event of which workflow, and what becomes of that commit."""

    workflow: str
    commit: Commit
    type: str | None = None
    nth: int = 1
    seq: int | None = None

    def __str__(self) -> str:
        return f"{self.workflow}-{self.type or 'event'}-{self.seq or self.nth}-{self.commit}"


def deaths() -> list[Death]:
    """Return all deaths to die."""
    if os.environ.get("HOLDFAST_FAULTS_ALL"):
        return [
            Death("team", commit, seq=seq) for seq in range(2, TEAM_EVENTS_MAX) for commit in Commit
        ]
    chance = random.Random(1337)
    found = [
        Death("team", list(Commit)[i % 2], type, chance.randint(1, count))
        for i, (type, count) in enumerate(TEAM_TYPES)
    ]
    found += [
        Death("ticker", commit, "message.delta", chance.randint(1, TICKS)) for commit in Commit
    ]
    return found


@dataclass
class Field:
    """A stack with what an undisturbed run of each workflow adds up to."""

    rig: Rig
    path: Path
    whole: dict[str, dict[str, Any]]

    def start(self, workflow: str, *, session: str | None = None) -> dict[str, Any]:
        """Start a run; return its ids and what it is of."""
        input = INPUTS[workflow] | ({"path": str(self.path)} if workflow == "ledger" else {})
        return self.rig.stack.start(workflow, input, session=session) | {"workflow": workflow}

    def check(self, run: dict[str, Any]) -> None:
        """Wait for a run's end and hold every promise against its log."""
        self.rig.stack.ended(run["run_id"])
        log = self.rig.log(run["session_id"])
        assert log[-1].type == "run.completed", log[-1].body
        check_log(log, run["run_id"])
        if run["workflow"] == "ticker":
            check_ticks(log, TICKS)
        if run["workflow"] == "ledger":
            check_ledger(log, run["run_id"], self.path, STEPS)
        assert shown(log, run["run_id"]) == self.whole[run["workflow"]]


@pytest.fixture(scope="module")
def field(place: Path) -> Iterator[Field]:
    with rigged(place / "killed") as rig:
        field = Field(rig, place / "ledger", {})
        for workflow in INPUTS:
            run = field.start(workflow)
            assert rig.stack.ended(run["run_id"])["status"] == "completed"
            field.whole[workflow] = shown(rig.log(run["session_id"]), run["run_id"])
        yield field


def die(field: Field, death: Death) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Kill the owner of a run where `death` says, with others around; return the run and the others."""
    rig = field.rig
    rig.both_ready()
    session = rig.session()
    stop = gate(rig, session, seq=death.seq, type=death.type, nth=death.nth)
    others = [field.start("team")]
    run = field.start(death.workflow, session=session)
    others += [field.start(workflow) for workflow in ("ticker", "ledger", "team")]
    backend = stop.reached()
    worker = rig.owned(session)
    killed_at = now()
    rig.stack.kill(worker)
    # Who had its name on what when it died: nobody else can claim these before the lease is over.
    hit: dict[str, int] = dict(
        rig.rows("select session_id, epoch from sessions where owner = %s", worker)
    )
    stop.open(backend, death.commit)
    for victim in [run, *others]:
        if (epoch := hit.get(victim["session_id"])) is not None:
            _goes_on(rig, victim, epoch, killed_at)
    return run, others


def _goes_on(rig: Rig, run: dict[str, Any], epoch: int, killed_at: float) -> None:
    """Wait for the first event of the next owner; it has to come within the lease and a little."""
    within_s = LEASE_S + TAKEOVER_SLACK_S

    def look() -> float | None:
        log = rig.log(run["session_id"])
        later = [row for row in log if row.epoch > epoch]
        if later:
            return elapsed(killed_at, later[0].recorded_at)
        # Its last event had been committed: there was nothing left to go on with.
        ended = any(row.type == "run.completed" for row in log)
        return 0.0 if ended else None

    took = eventually(f"{run['workflow']} goes on elsewhere", look, within_s=within_s + 10)
    assert took <= within_s, f"{run['workflow']} stood still for {took:.2f} s"


@pytest.mark.parametrize("death", deaths(), ids=str)
def test_a_run_whose_worker_is_killed_adds_up_to_what_an_undisturbed_one_does(
    field: Field, death: Death
) -> None:
    run, others = die(field, death)

    for each in [run, *others]:
        field.check(each)


@pytest.mark.parametrize("commit", list(Commit))
def test_a_step_is_called_again_only_if_its_result_was_not_recorded(
    field: Field, commit: Commit
) -> None:
    """The fifth step has done its work when its worker dies: only the log decides whether it is done."""
    run, others = die(field, Death("ledger", commit, "step.completed", 5))

    for each in [run, *others]:
        field.check(each)
    calls = check_ledger(field.rig.log(run["session_id"]), run["run_id"], field.path, STEPS)
    again = {key.partition(":")[2] for key, count in calls.items() if count == 2}
    assert again == ({"pay#5"} if commit is Commit.LOST else set())
    assert sum(calls.values()) == STEPS + len(again)
