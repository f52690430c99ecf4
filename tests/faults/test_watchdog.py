"""An event loop that stands still is told of within two seconds, and past its limit the process ends itself.

A hung service would keep its port and its connections and serve nobody; a dead one is started again.
"""

import asyncio
import os
import subprocess
import sys
import time

import pytest
import structlog

from holdfast.events.watchdog import EXIT_BLOCKED, Watchdog

pytestmark = pytest.mark.fault

HUNG = """
import asyncio, time
from holdfast.events.watchdog import Watchdog

async def get_stuck():
    with Watchdog(1.5):
        await asyncio.sleep(0.3)
        {statement}

def hang_on_purpose():
    while True:
        time.sleep(1)

asyncio.run(get_stuck())
"""


def test_a_process_whose_loop_hangs_ends_with_its_stacks_and_status_70() -> None:
    begun = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", HUNG.format(statement="hang_on_purpose()")],
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert ended.returncode == EXIT_BLOCKED
    assert "in hang_on_purpose" in ended.stderr
    assert "the event loop has been blocked for" in ended.stderr
    assert time.monotonic() - begun < 15


def test_a_process_that_hangs_on_its_own_output_ends_too() -> None:
    """Nobody reads the pipe: neither the warning nor the last words get out, and the process goes all the same."""
    statement = "import sys; [sys.stderr.write('x' * 65536) for _ in iter(int, 1)]"
    hung = subprocess.Popen(
        [sys.executable, "-c", HUNG.format(statement=statement)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert hung.wait(30) == EXIT_BLOCKED
    finally:
        hung.kill()
        assert hung.stderr is not None
        hung.stderr.close()


GATEWAY = """
import holdfast.gateway.__main__ as service
async def hang(*_):
    await asyncio.sleep(0.3)
    hang_on_purpose()
service.serve_with = hang
"""

WORKER = """
import holdfast.orchestrator.__main__ as service
from holdfast.orchestrator.orchestrator import Orchestrator
async def hang(self):
    await asyncio.sleep(0.3)
    hang_on_purpose()
Orchestrator.run = hang
"""


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.parametrize("service", [GATEWAY, WORKER], ids=["gateway", "worker"])
def test_both_services_are_watched(database_url: str, redis_url: str, service: str) -> None:
    hangs = "def hang_on_purpose():\n    while True:\n        time.sleep(1)\n"
    script = f"import asyncio, sys, time\n{hangs}{service}\nsys.exit(service.main([]))"
    settings = {
        "HOLDFAST_DATABASE_URL": database_url,
        "HOLDFAST_REDIS_URL": redis_url,
        "HOLDFAST_WATCHDOG_S": "1.5",
        "HOLDFAST_WORKFLOWS": "holdfast.orchestrator.workflows.ticker",
    }
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == EXIT_BLOCKED, ended.stderr
    assert '"loop.blocked"' in ended.stdout
    assert "in hang_on_purpose" in ended.stderr


async def test_a_short_blockade_is_logged_with_what_blocks_and_nobody_dies() -> None:
    exits: list[int] = []

    with structlog.testing.capture_logs() as logs, Watchdog(30, warn_s=0.5, leave=exits.append):
        await asyncio.sleep(0.2)
        time.sleep(1.2)  # noqa: ASYNC251 - the fault
        await _logged(logs, 2)

    assert [line["event"] for line in logs] == ["loop.blocked", "loop.went-on"]
    assert "time.sleep(1.2)" in logs[0]["stack"]
    assert exits == []


async def test_a_loop_that_works_hard_in_small_pieces_is_not_blocked() -> None:
    with structlog.testing.capture_logs() as logs, Watchdog(0.5, warn_s=0.4, leave=_never):
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            time.sleep(0.02)  # noqa: ASYNC251 - work
            await asyncio.sleep(0)

    assert logs == []


async def test_without_a_limit_it_only_warns() -> None:
    with structlog.testing.capture_logs() as logs, Watchdog(0, warn_s=0.3, leave=_never):
        await asyncio.sleep(0.2)
        time.sleep(1.0)  # noqa: ASYNC251 - the fault
        await _logged(logs, 1)

    assert logs[0]["event"] == "loop.blocked"


async def _logged(logs: list[structlog.typing.EventDict], count: int) -> None:
    deadline = time.monotonic() + 5
    while len(logs) < count:
        assert time.monotonic() < deadline, logs
        await asyncio.sleep(0.02)


def _never(status: int) -> None:
    raise AssertionError(status)
