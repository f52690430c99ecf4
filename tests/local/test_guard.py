"""The guard alone: its wards ask no kernel for a death signal, so only the guard ends them."""

import fcntl
import json
import signal
import subprocess
import sys
import time

import pytest

from holdfast.local.processes import ProcessId
from tests.local.dev import eventually

pytestmark = pytest.mark.fault

# A supervisor that starts two wards, tells its guard, says their pids, and hangs.
SUPERVISOR = """
import fcntl, subprocess, sys, time
from pathlib import Path
from holdfast.local.guard import Guard, Ward
from holdfast.local.processes import ProcessId

order = sys.argv[1]
def ward(name, stage, on_term):
    code = (
        "import os, signal, sys, time\\n"
        f"def leave(*_):\\n open({order!r}, 'a').write({name!r} + ' ')\\n sys.exit()\\n"
        f"signal.signal(signal.SIGTERM, {on_term})\\n"
        "print(flush=True)\\n"
        "time.sleep(60)\\n"
    )
    command = [sys.executable, "-c", code]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    child.stdout.readline()
    return Ward(child.pid, ProcessId.of(child.pid).started, stage, 15, 0.5)

wards = [ward("last", 2, "leave"), ward("stubborn", 1, "signal.SIG_IGN"), ward("first", 0, "leave")]
lock = open(order)
fcntl.flock(lock, fcntl.LOCK_EX)
guard = Guard(lock.fileno(), Path(order).parent)
guard.tell(wards[:1])
guard.tell(wards)
print(guard.pid, *(ward.pid for ward in wards), flush=True)
{then}
"""


def run(tmp_path, then):
    order = tmp_path / "order"
    order.touch()
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR.replace("{then}", then), str(order)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervisor.stdout is not None
    pids = [int(word) for word in supervisor.stdout.readline().split()]
    guard, *wards = (ProcessId.of(pid) for pid in pids)
    # None where the supervisor ended it before we looked.
    return order, supervisor, guard, [ward for ward in wards if ward is not None]


def end(process):
    process.wait()
    process.stdout.close()


def test_what_a_killed_supervisor_left_is_ended_in_order(tmp_path):
    """Also the one that ignores its signal; then the guard goes too."""
    order, supervisor, guard, wards = run(tmp_path, "time.sleep(60)")
    assert len(wards) == 3
    supervisor.kill()
    end(supervisor)

    eventually(lambda: not any(ward.is_alive() for ward in wards), "all wards are gone")
    assert order.read_text() == "first last "
    eventually(lambda: not guard.is_alive(), "the guard is gone")


def test_the_lock_is_held_until_the_last_ward_is_gone(tmp_path):
    """Two Redis on one append-only file would destroy it: a successor has to wait."""
    order, supervisor, _guard, wards = run(tmp_path, "time.sleep(60)")
    supervisor.kill()
    end(supervisor)

    with order.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # returns when it is free
        assert not any(ward.is_alive() for ward in wards)


def test_after_a_crash_the_list_of_processes_is_empty(tmp_path):
    """Only the guard is left to say so; whoever reads it later must not take dead pids for live."""
    (tmp_path / "processes.json").write_text('[{"name": "redis", "pid": 1, "address": "a:1"}]')
    order, supervisor, _guard, wards = run(tmp_path, "time.sleep(60)")
    supervisor.kill()
    end(supervisor)

    with order.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # returns when the guard has gone
        assert not any(ward.is_alive() for ward in wards)
        assert json.loads((tmp_path / "processes.json").read_text()) == []


def test_signals_meant_for_the_supervisor_do_not_end_the_guard(tmp_path):
    _order, supervisor, guard, wards = run(tmp_path, "time.sleep(60)")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        guard.send(number)
    supervisor.kill()
    end(supervisor)

    eventually(lambda: not any(ward.is_alive() for ward in wards), "all wards are gone")


def test_a_dismissed_guard_ends_nothing(tmp_path):
    _order, supervisor, guard, wards = run(tmp_path, "guard.dismiss(); print(); time.sleep(60)")
    supervisor.stdout.readline()

    assert guard is None or not guard.is_alive()
    assert all(ward.is_alive() for ward in wards)

    for ward in wards:
        ward.send(signal.SIGKILL)
    supervisor.kill()
    end(supervisor)


def test_a_killed_guard_is_replaced_at_the_next_word(tmp_path):
    then = """
guard._process.kill(); guard._process.wait()
guard.tell(wards)
print(guard.pid, flush=True)
time.sleep(60)"""
    order, supervisor, _guard, wards = run(tmp_path, then)
    supervisor.stdout.readline()
    supervisor.kill()
    end(supervisor)

    started = time.monotonic()
    eventually(lambda: not any(ward.is_alive() for ward in wards), "all wards are gone")
    assert time.monotonic() - started < 10
    assert order.read_text() == "first last "
