"""What is broken and how: one line for each fault, and the stacks that the faults are done to."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager

import httpx2
import psycopg
import pytest

from tests.e2e.stack import Stack, running
from tests.servers import make_server_dir

# A takeover within the lease plus two seconds, so that a test of one takes five.
LEASE_S = 3

# Supervisor and crash recovery together: a second or two, and more on a busy machine.
POSTGRES_BACK_S = 20.0

# Everything, at length; CI has five minutes for all of it.
THOROUGH = os.environ.get("HOLDFAST_FAULTS_ALL") == "1"

# A service imports for seconds on a busy machine before it serves again.
RESTART_S = 40.0


@contextmanager
def stack_of(*arguments: str, **environment: str) -> Generator[Stack]:
    """Run a stack with short leases, in a directory of its own."""
    root = make_server_dir()
    try:
        settings = {"HOLDFAST_LEASE_S": str(LEASE_S)} | environment
        with running(root / "stack", "--quiet", *arguments, **settings) as stack:
            yield stack
    finally:
        shutil.rmtree(root, ignore_errors=True)


def database_url(stack: Stack) -> str:
    """Return the address of the stack's log."""
    password = (stack.data_dir / "postgres" / "password").read_text(encoding="ascii").strip()
    address = stack.processes()["postgres"]["address"]
    return f"postgresql://holdfast:{password}@{address}/holdfast"


def connected(stack: Stack) -> "psycopg.Connection[tuple[object, ...]]":
    """Connect to the stack's log, as an operator would: who was just killed may still be on the way back."""
    deadline = time.monotonic() + POSTGRES_BACK_S
    while True:
        try:
            return psycopg.connect(database_url(stack), autocommit=True, connect_timeout=5)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


@contextmanager
def locked(stack: Stack) -> Generator[None]:
    """Keep everybody from sessions and runs: whoever asks for one waits, and is told that it took too long."""
    with connected(stack) as connection, connection.transaction():
        connection.execute("lock table sessions, runs in access exclusive mode")
        yield


def logged(stack: Stack, process: str, fact: str) -> list[str]:
    """Return the lines that a process logged about a fact."""
    lines = (stack.data_dir / "logs" / f"{process}.log").read_text(errors="replace").splitlines()
    return [line for line in lines if f'"event": "{fact}"' in line or f'"event":"{fact}"' in line]


async def restarted(stack: Stack, name: str, number: int = signal.SIGKILL) -> None:
    """Kill a process of the stack and wait until the supervisor has started another.

    One that was killed a moment ago may not be back yet: the supervisor waits longer each time.
    """
    await until(lambda: stack.processes()[name]["pid"] is not None, f"{name} is there")
    old = stack.kill(name, number)
    await until(lambda: stack.processes()[name]["pid"] not in (None, old), f"{name} is back")


async def until(check: object, what: str, *, within_s: float = RESTART_S) -> None:
    """Wait until `check` holds, letting the clients of this process go on meanwhile."""
    assert callable(check)
    deadline = asyncio.get_running_loop().time() + within_s
    while not await asyncio.to_thread(check):
        assert asyncio.get_running_loop().time() < deadline, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.05)


fault_marks = [pytest.mark.fault, pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]


def cancel(stack: Stack, run_id: str) -> None:
    """Ask for the end of a run."""
    answer = httpx2.post(f"{stack.url}/v1/runs/{run_id}/cancel", timeout=10)
    assert answer.status_code == 202, answer.text
