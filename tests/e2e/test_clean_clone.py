"""What a newcomer does: clone, `make run`, use it. On a machine with Python and nothing else of ours."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import make_server_dir

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]

# The promise, in seconds: installing included, and once everything is there.
FIRST_TIME_S = 180.0
LATER_S = 10.0

# What a bare machine doesn't have: servers and containers.
ABSENT = {
    "redis-server",
    "valkey-server",
    "postgres",
    "initdb",
    "pg_ctl",
    "psql",
    "docker",
    "podman",
}


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """A clone of the last commit."""
    place = make_server_dir() / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
    yield place
    shutil.rmtree(place.parent, ignore_errors=True)


@pytest.fixture(scope="module")
def bare_path(clone: Path) -> str:
    """A PATH with all that this machine has but our servers."""
    shadow = clone.parent / "bin"
    shadow.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        if Path(folder) == ROOT / ".venv" / "bin" or not Path(folder).is_dir():
            continue
        for program in Path(folder).iterdir():
            link = shadow / program.name
            if program.name not in ABSENT and not link.is_symlink():
                link.symlink_to(program)
    return str(shadow)


def make_run(clone: Path, path: str) -> tuple[float, list[str]]:
    """Run `make run` until it is ready; return the seconds it took and what it can do, and stop it."""
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "VIRTUAL_ENV"))
    }
    log = (clone.parent / "make-run.log").open("ab")
    began = time.monotonic()
    process = subprocess.Popen(
        ["make", "run", "ARGS=--port 0 --quiet"],
        cwd=clone,
        env={**environment, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        ready = next((line for line in process.stdout if line.startswith("ready http://")), None)
        took = time.monotonic() - began
        assert ready, Path(log.name).read_text()[-2000:]
        follow = [
            str(clone / ".venv/bin/holdfast"),
            *("--url", ready.split()[1], "run", "team", "--follow"),
            *("--input", '{"requirement": "a URL shortener"}'),
        ]
        shown = subprocess.run(follow, capture_output=True, text=True, timeout=90, check=False)
        assert shown.returncode == 0, shown.stderr
        return took, shown.stdout.splitlines()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
        process.stdout.close()
        log.close()


def test_a_clean_clone_is_ready_within_three_minutes_and_later_within_ten_seconds(
    clone: Path, bare_path: str
) -> None:
    first, shown = make_run(clone, bare_path)
    later, again = make_run(clone, bare_path)

    assert first < FIRST_TIME_S
    assert later < LATER_S
    for lines in (shown, again):
        assert any("testing" in line for line in lines)
        assert any("QA" in line for line in lines)
