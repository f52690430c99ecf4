"""The supervisor over real processes of a small service: what it starts, starts again, and ends."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.local.dev import eventually
from tests.processes.several import IMPATIENT, SOCKETLESS, TOLD_WHILE_STARTING, several

pytestmark = [pytest.mark.e2e]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_every_process_gets_connections_and_all_end_in_order(tmp_path: Path):
    with several(tmp_path) as service:
        answers = [service.ready().ask() for _ in range(60)]

        assert service.end() == 0
        assert set(answers) == {"1", "2"}
        assert sorted((tmp_path / "drained").read_text().split()) == ["1", "2"]


def test_what_waits_for_a_process_that_is_killed_is_answered_by_its_successor(tmp_path: Path):
    """The queue of connections is the supervisor's: with a socket of its own it would die with the process."""
    with several(tmp_path) as service:
        pid = service.ready().pid(1)
        os.kill(pid, signal.SIGSTOP)
        waiting = [service.connected() for _ in range(40)]
        os.kill(pid, signal.SIGKILL)
        answers = [service.answer(connection) for connection in waiting]

        assert set(answers) == {"1", "2"}
        assert service.pid(1) != pid


def test_a_process_that_ends_by_itself_is_started_again(tmp_path: Path):
    with several(tmp_path) as service:
        pid = service.ready().pid(2)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(service.starts(2)) == 2 and service.ask() == "2", "2 serves again")

        assert len(service.starts(1)) == 1
        assert 'holdfast_process_restarts_total{process="2"} 1' in service.ask(b"metrics")


def test_a_process_that_ends_again_and_again_is_started_with_growing_pauses(tmp_path: Path):
    """Meanwhile the others serve, and nobody waits at the socket of the one that doesn't come up."""
    with several(tmp_path) as service:
        service.ready()
        (tmp_path / "vain-2").touch()
        os.kill(service.pid(2), signal.SIGKILL)
        eventually(lambda: len(service.starts(2)) >= 5, "2 was started in vain four times")
        answers = [service.ask() for _ in range(20)]

        moments = [at for _, at in service.starts(2)][1:]
        pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert all(pause > 0.2 * 2 ** (i + 1) for i, pause in enumerate(pauses[:3]))
        assert set(answers) == {"1"}
        assert service.end() == 0


def test_when_nothing_can_be_started_it_says_so_and_ends_with_the_status(tmp_path: Path):
    """The first process is tried alone: its reason is said once."""
    (tmp_path / "vain").touch()
    with several(tmp_path, count=4) as service:
        assert service.process.wait(20) == 7
        assert "none of 4 processes can be started; process 1 ended with status 7" in service.said
        assert [len(service.starts(n)) for n in (1, 2, 3, 4)] == [1, 0, 0, 0]


def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path):
    with several(tmp_path) as first:
        second = subprocess.run(
            [
                *(sys.executable, "-m", "holdfast.processes", "--name=service", "--count=2"),
                *(f"--listen=127.0.0.1:{first.ready().port}", "--", sys.executable, "-c", "1"),
            ],
            capture_output=True,
            text=True,
            timeout=20,
        )

        assert second.returncode == 1
        assert second.stderr.startswith(f"service: can't listen at 127.0.0.1:{first.port}: ")


def test_an_operators_page_that_cannot_be_had_is_said_in_a_sentence(tmp_path: Path):
    with several(tmp_path) as first:
        address = f"127.0.0.1:{first.ready().port}"
        second = subprocess.run(
            [
                *(sys.executable, "-m", "holdfast.processes", "--name=service", "--count=2"),
                *(f"--ops={address}", "--", sys.executable, "-c", "1"),
            ],
            capture_output=True,
            text=True,
            timeout=20,
        )

        assert second.returncode == 1
        assert second.stderr.startswith(f"service: can't listen at {address}: ")


def test_without_another_socket_the_old_one_serves_on(tmp_path: Path):
    """A machine short of descriptors loses one process, not all of them."""
    with several(tmp_path, changed=SOCKETLESS) as service:
        service.ready()
        (tmp_path / "vain-2").touch()
        os.kill(service.pid(2), signal.SIGKILL)
        eventually(lambda: "listener.kept" in service.said, "there is no other socket")
        (tmp_path / "vain-2").unlink()
        eventually(lambda: service.ask() == "2", "2 serves again")

        assert len(service.starts(1)) == 1
        assert service.end() == 0


def test_a_signal_while_a_process_is_being_started_reaches_that_one_too(tmp_path: Path):
    """It had neither a line nor a pid when all were told."""
    with several(tmp_path, changed=TOLD_WHILE_STARTING) as service:
        assert service.process.wait(20) == 0
        assert "process.overstayed" not in service.said
        assert (tmp_path / "drained").read_text().split() == ["1"]


def test_a_process_whose_start_swallows_the_signal_ends_in_order_once_it_serves(tmp_path: Path):
    (tmp_path / "hold").touch()
    with several(tmp_path) as service:
        eventually(lambda: service.starts(1), "1 is about to serve")
        service.process.terminate()
        eventually(lambda: "supervisor.draining" in service.said, "all are told")
        (tmp_path / "hold").unlink()

        assert service.process.wait(20) == 0
        assert (tmp_path / "drained").read_text().split() == ["1"]


def test_a_process_that_drains_already_is_not_hurried_by_the_end_of_all(tmp_path: Path):
    """Whoever signals a whole group signals a process and its supervisor; a second signal would cut its streams."""
    with several(tmp_path) as service:
        (tmp_path / "deaf").touch()
        os.kill(service.ready().pid(1), signal.SIGTERM)
        eventually(lambda: "process.draining" in service.said, "1 drains")
        service.process.terminate()
        eventually(lambda: "supervisor.draining" in service.said, "all are told")
        (tmp_path / "deaf").unlink()

        assert service.process.wait(20) == 0
        assert sorted((tmp_path / "drained").read_text().split()) == ["1", "2"]


def test_the_second_signal_ends_all_at_once(tmp_path: Path):
    (tmp_path / "deaf").touch()
    with several(tmp_path) as service:
        service.ready().process.send_signal(signal.SIGINT)
        eventually(lambda: "supervisor.draining" in service.said, "it drains")
        service.process.send_signal(signal.SIGINT)

        assert service.process.wait(5) == 0
        assert not (tmp_path / "drained").exists()


def test_a_process_that_overstays_is_killed_and_shows_in_the_status(tmp_path: Path):
    (tmp_path / "deaf").touch()
    with several(tmp_path, patience=0.5) as service:
        assert service.ready().end() == 1
        assert "process.overstayed" in service.said


def test_what_each_counts_is_told_by_whichever_is_asked(tmp_path: Path):
    """Of one process alone a counter would jump with every scrape."""
    with several(tmp_path) as service:
        texts = {service.ready().ask(b"metrics") for _ in range(10)}

        assert len(texts) == 1
        (text,) = texts
        assert 'served{process="1",by="1"} 1.0' in text
        assert 'served{process="2",by="2"} 1.0' in text
        assert 'holdfast_process_up{process="2"} 1' in text


def test_a_process_that_does_not_tell_is_missing_and_seen_to_be(tmp_path: Path):
    with several(tmp_path) as service:
        pid = service.ready().pid(2)
        held = [service.connected(b"metrics") for _ in range(1)]
        service.answer(held[0])
        os.kill(pid, signal.SIGSTOP)
        try:
            # Some of these wait at the stopped process.
            asked = [service.connected(b"metrics") for _ in range(12)]
            time.sleep(1.5)
            texts: list[str] = []
            for connection in asked:
                connection.settimeout(0.5)
                try:
                    texts.append(service.answer(connection))
                except TimeoutError:
                    continue
        finally:
            os.kill(pid, signal.SIGCONT)

        assert texts
        for text in texts:
            assert 'holdfast_process_up{process="2"} 0' in text
            assert 'served{process="1",by="1"} 1.0' in text
            assert 'served{process="2"' not in text


def test_a_process_that_is_stuck_for_good_is_replaced(tmp_path: Path):
    """Its watchdog can't run where no thread does, and a probe of the port would ask the other one."""
    with several(tmp_path, changed=IMPATIENT) as service:
        pid = service.ready().pid(2)
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: len(service.starts(2)) == 2, "2 is replaced")

        assert "process.silent" in service.said
        assert service.pid(2) != pid
        assert len(service.starts(1)) == 1


def test_processes_end_in_order_when_their_supervisor_is_killed(tmp_path: Path):
    """They hold the port that the next supervisor needs."""
    with several(tmp_path) as service:
        pids = [service.ready().pid(n) for n in (1, 2)]
        service.process.kill()

        eventually(lambda: not any(alive(pid) for pid in pids), "both have ended")
        assert sorted((tmp_path / "drained").read_text().split()) == ["1", "2"]
