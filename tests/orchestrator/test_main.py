"""The worker's process says why it ends, and ends."""

import subprocess
import sys
import time

import pytest

SERVICE = """
import asyncio, os, sys, threading, time
os.environ["HOLDFAST_DATABASE_URL"], os.environ["HOLDFAST_REDIS_URL"] = "postgresql://x", "redis://x"
import holdfast.orchestrator.__main__ as service
service.LEAVE_S = 0.5

async def serve(settings, *, on_started, on_draining, link):
    {body}

service.serve = serve
sys.exit(service.main([]))
"""


def run(body: str) -> tuple[int, str, float]:
    """Run a service that does this; return its exit code, what it said, and how long it took."""
    begun = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", SERVICE.format(body=body)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    return ended.returncode, ended.stderr, time.monotonic() - begun


def test_what_is_missing_at_the_start_is_told_in_a_line() -> None:
    code, said, _ = run("raise OSError('no Postgres')")
    assert (code, said) == (1, "the worker can't start: no Postgres\n")


def test_an_error_hours_later_is_not_called_a_failed_start() -> None:
    code, said, _ = run("on_started(); raise OSError('no Postgres')")
    assert code == 1
    assert "the worker broke: no Postgres" in said
    assert "can't start" not in said


@pytest.mark.parametrize(
    "body",
    [
        # A thread that never comes back is waited for when the loop is closed.
        "asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)",
        # A workflow that heeds no cancellation.
        "settings.__dict__['drain_s'] = 0.1; on_draining(); await asyncio.sleep(600)",
    ],
)
def test_what_does_not_end_does_not_keep_the_process(body: str) -> None:
    code, _, seconds = run(body)
    assert code == 0
    assert seconds < 15
