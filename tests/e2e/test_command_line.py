"""The command line against the real stack, as a person or a script uses it."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.stack import Stack, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]


def holdfast(
    stack: Stack, *arguments: str, within_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, on a pipe as scripts do."""
    return subprocess.run(
        [sys.executable, "-m", "holdfast.cli", *arguments],
        env={**os.environ, "HOLDFAST_URL": stack.url},
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def answer(stack: Stack, *arguments: str) -> list[Any]:
    """Run a command that must succeed with --json; return the lines that it printed."""
    done = holdfast(stack, *arguments, "--json")
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_running_the_team_shows_stages_roles_and_tokens_and_ends(stack: Stack) -> None:
    done = holdfast(
        stack, "run", "team", "--input", '{"requirement": "a URL shortener"}', "--follow"
    )

    assert done.returncode == 0, done.stderr
    for stage in ("requirement", "design", "development", "testing"):
        assert stage in done.stdout, stage
    for role in ("Boss", "Product Manager", "Architect", "Project Manager", "Engineer", "QA"):
        assert role in done.stdout, role
    assert "a URL shortener" in done.stdout
    assert "\x1b[" not in done.stdout, "no colour on pipes"


def test_a_session_is_tailed_replayed_and_looked_at_in_the_same_bytes(stack: Stack) -> None:
    run = stack.start("ticker", {"events": 5, "interval_ms": 0})
    session = run["session_id"]
    stack.ended(run["run_id"])
    history = [line.decode() for line in stack.history(session)]

    replayed = holdfast(stack, "replay", session, "--speed", "0", "--json")

    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.splitlines() == history
    [state] = answer(stack, "state", session, "--at", "5")
    assert state["seq"] == 5
    assert session in {item["session_id"] for item in answer(stack, "sessions")}
    assert {"team", "ticker"} <= {item["name"] for item in answer(stack, "workflows")}


def test_tail_follows_what_comes_until_it_is_interrupted(stack: Stack) -> None:
    run = stack.start("ticker", {"events": 2, "interval_ms": 0})
    tail = subprocess.Popen(
        [sys.executable, "-m", "holdfast.cli", "tail", run["session_id"], "--json"],
        env={**os.environ, "HOLDFAST_URL": stack.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tail.stdout is not None
    lines: list[str] = []
    for line in tail.stdout:
        lines.append(line.rstrip("\n"))
        if '"type":"run.completed"' in line:
            break
    again = stack.start("ticker", {"events": 1, "interval_ms": 0}, session=run["session_id"])
    for line in tail.stdout:
        lines.append(line.rstrip("\n"))
        if '"type":"run.completed"' in line and again["run_id"] in line:
            break

    tail.send_signal(signal.SIGINT)
    _, errors = tail.communicate(timeout=20)

    assert tail.returncode == 130, errors
    assert f"holdfast tail {run['session_id']} --after" in errors
    assert lines == [line.decode() for line in stack.history(run["session_id"])]


def test_a_running_run_is_cancelled(stack: Stack) -> None:
    run = stack.start("ticker", {"events": 100_000, "interval_ms": 10})
    eventually("it runs", lambda: stack.get(f"/v1/runs/{run['run_id']}")["status"] == "running")

    done = holdfast(stack, "cancel", run["run_id"])

    assert done.returncode == 0, done.stderr
    assert stack.ended(run["run_id"])["status"] == "cancelled"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "nope", "--input", "{}"], "nope"),
        (["run", "team", "--input", '{"requirement": 7}'], "requirement"),
        (["run", "team", "--input", "{"], "JSON"),
        (["tail", "no-such-session"], "no-such-session"),
        (["cancel", "run_nope"], "run_nope"),
    ],
)
def test_wrong_words_are_one_sentence_and_exit_code_2(
    stack: Stack, arguments: list[str], says: str
) -> None:
    done = holdfast(stack, *arguments)

    assert done.returncode == 2, (done.returncode, done.stderr)
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_finds_a_healthy_stack_healthy(stack: Stack) -> None:
    done = holdfast(stack, "doctor", "--data-dir", str(stack.data_dir))

    assert done.returncode == 0, done.stdout + done.stderr
