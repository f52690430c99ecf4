"""Nothing that a test of this folder starts outlives it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

# Said in the environment of all that a test starts, and so of all that those start: a supervisor's processes have
# sessions of their own, and once it is gone nobody knows any more whose they were.
MARK = "TESTS_PROCESSES_FOLDER"

# SIGKILL is heeded within milliseconds, by a stopped process, too.
END_S = 10.0


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End what the test left: stopped, deaf or forgotten by a supervisor that is gone."""
    mark = str(tmp_path)
    monkeypatch.setenv(MARK, mark)
    yield
    deadline = time.monotonic() + END_S
    # Again until there is none: a supervisor may be about to start the next one when it is killed.
    while found := marked(mark):
        assert time.monotonic() < deadline, f"not to be ended: {found}"
        for process in found:
            process.kill()
        psutil.wait_procs(found, END_S)


def marked(mark: str) -> list[psutil.Process]:
    """The processes that were started with this mark, the eldest first."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # gone meanwhile, or nobody's that we could have started
    return sorted(found, key=lambda process: process.pid)
