import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from holdfast.local.processes import ProcessId, spawn
from tests.local.dev import eventually

SLEEP = ("sleep", "60")


@pytest.fixture
def sleeper():
    process = spawn(SLEEP, output=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def test_a_process_is_known_by_its_pid_and_its_start(sleeper):
    process = ProcessId.of(sleeper.pid)

    assert process is not None
    assert process.is_alive()
    assert process.send(signal.SIGTERM)
    assert sleeper.wait(5) == -signal.SIGTERM
    assert not process.is_alive()
    assert not process.send(signal.SIGTERM)


def test_another_process_with_the_same_pid_is_never_signalled(sleeper):
    """The kernel hands pids out again; whoever has it now is not the one we meant."""
    current = ProcessId.of(sleeper.pid)
    assert current is not None
    earlier = ProcessId(sleeper.pid, current.started + "1")

    assert not earlier.is_alive()
    assert not earlier.send(signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_zombie_is_not_alive():
    process = spawn(SLEEP, output=subprocess.DEVNULL)
    named = ProcessId.of(process.pid)
    assert named is not None
    process.kill()

    eventually(lambda: not named.is_alive(), "it counts as gone before it is reaped")

    process.wait()


def test_a_child_outlives_the_thread_that_asked_for_it():
    """Linux ties the death signal to the forking thread, and threads of a pool come and go."""
    children = []

    def ask():
        process = spawn(SLEEP, output=subprocess.DEVNULL)
        # Only once it runs has it asked the kernel for the signal.
        eventually(lambda: psutil.Process(process.pid).name() == "sleep", "it has been started")
        children.append(process)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    process = children[0]

    # A signal at the thread's end would come at once; waiting here for longer proves no more.
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)

    process.kill()
    process.wait()


@pytest.mark.fault
def test_a_child_dies_with_its_parent_however_it_dies():
    code = (
        "import subprocess, time; from holdfast.local.processes import spawn;"
        "print(spawn(['sleep', '60'], output=subprocess.DEVNULL).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = ProcessId.of(int(parent.stdout.readline()))
    assert child is not None
    eventually(lambda: psutil.Process(child.pid).name() == "sleep", "it has been started")
    parent.kill()
    parent.wait()
    parent.stdout.close()

    eventually(lambda: not child.is_alive(), "the child is gone")


def test_a_child_leads_a_session_of_its_own(sleeper):
    """Ctrl-C in the terminal reaches the parent only, who ends its children in order."""
    assert os.getsid(sleeper.pid) == sleeper.pid


def test_a_child_gets_default_signals():
    """Python ignores SIGPIPE, and what is ignored stays ignored over exec."""
    process = spawn(("cat", "/proc/self/status"), output=subprocess.PIPE)
    said = process.communicate(timeout=5)[0].decode()

    line = next(line for line in said.splitlines() if line.startswith("SigIgn:"))
    mask = int(line.split()[1], 16)
    # Only what a process may set: some containers begin with signals of the C library ignored.
    named = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM)
    assert [s.name for s in named if mask & 1 << (s - 1)] == []


def test_a_command_that_cannot_run_says_so():
    process = spawn(("/nowhere/redis-server",), output=subprocess.PIPE)

    assert process.communicate(timeout=5)[0] == (
        b"cannot run /nowhere/redis-server: No such file or directory\n"
    )
    assert process.returncode == 127
