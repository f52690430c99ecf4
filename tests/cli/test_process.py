"""The command as a process of its own: signals, pipes and terminals."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.cli.gateway import FakeGateway
from tests.client.scripted import Scripted, body, in_thread

pytestmark = pytest.mark.e2e

COMMAND = [sys.executable, "-m", "holdfast.cli"]
DEADLINE_S = 30.0


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def server(gateway: FakeGateway) -> Iterator[Scripted]:
    with in_thread(gateway) as server:
        yield server


def start(
    server_url: str, *words: str, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "--url", server_url, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Buffered, as at home: what must come at once has to be flushed.
        env={**os.environ, "PYTHONUNBUFFERED": "", **(env or {})},
    )


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(timeout=DEADLINE_S)
    return process.returncode, out, err


def on_terminal(server_url: str, *words: str, env: dict[str, str] | None = None) -> str:
    """Run with stdout on a pseudo-terminal; return all that the terminal got."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--url", server_url, *words],
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **(env or {})},
    )  # fmt: skip
    os.close(theirs)
    got, deadline = b"", time.monotonic() + DEADLINE_S
    try:
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    chunk = os.read(ours, 65536)
                except OSError:
                    break  # Linux's way of saying that the other end is closed
                if not chunk:
                    break
                got += chunk
        assert process.wait(DEADLINE_S) == 0, got
    finally:
        os.close(ours)
        process.kill()
        process.wait()
    return got.decode()


def test_events_leave_through_a_pipe_as_they_come_and_ctrl_c_says_how_to_come_back(
    gateway: FakeGateway, server: Scripted
):
    gateway.hang = True
    process = start(server.url, "tail", "s", "--json")
    assert process.stdout
    lines = [process.stdout.readline() for _ in gateway.story]

    process.send_signal(signal.SIGINT)
    status, out, err = ended(process)

    assert lines == [body(n, t, **d) + b"\n" for n, (t, d) in enumerate(gateway.story, 1)]
    assert (status, out) == (130, b"")
    assert err == b"holdfast: come back with: holdfast tail s --after 7\n"


def test_ctrl_c_while_a_run_is_followed_leaves_the_run_alone(
    gateway: FakeGateway, server: Scripted
):
    gateway.hang = True
    gateway.story = gateway.story[:3]
    process = start(server.url, "run", "team", "--follow")
    assert process.stdout
    while "design" not in process.stdout.readline().decode():
        pass

    process.send_signal(signal.SIGINT)
    status, _, err = ended(process)

    assert status == 130
    assert b"the run goes on; come back with: holdfast tail s --after 3" in err
    assert not any("cancel" in request.path for request in server.requests)


def test_a_reader_who_goes_away_ends_the_command_quietly(gateway: FakeGateway, server: Scripted):
    gateway.story = gateway.story[:1] + [("notification.sent", {"text": "x" * 1000})] * 2000
    process = start(server.url, "tail", "s")
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()

    status = process.wait(DEADLINE_S)

    assert (status, process.stderr.read()) == (141, b"")
    process.stderr.close()


def test_following_keeps_trying_while_no_gateway_answers():
    with in_thread(FakeGateway()) as gone:
        url = gone.url
    process = start(url, "tail", "s", "--after", "4")
    assert process.stderr
    notices = [process.stderr.readline() for _ in range(3)]

    process.send_signal(signal.SIGINT)
    status, out, err = ended(process)

    assert all(b"trying again in" in notice for notice in notices)
    assert (status, out) == (130, b"")
    assert b"--after 4" in err
    assert b"Traceback" not in err


def test_a_terminal_gets_colours_and_no_escape_of_anybody_elses(server: Scripted):
    shown = on_terminal(server.url, "run", "team", "--follow")

    # Bold, bold cyan, bold green, dim, and the end of each: all that we write ourselves.
    rest = re.sub(r"\x1b\[(0|1|2|1;36|1;32)m", "", shown)
    assert "\x1b[1;32m✔ completed" in shown
    assert not set(rest) & set("\x1b\x07\x9b\u202e")


def test_no_color_is_honoured_on_a_terminal(server: Scripted):
    shown = on_terminal(server.url, "run", "team", "--follow", env={"NO_COLOR": "1"})

    assert "design" in shown
    assert "\x1b" not in shown


def test_json_on_a_terminal_is_escaped_where_a_terminal_would_obey(server: Scripted):
    shown = on_terminal(server.url, "tail", "s", "--json", env={"NO_COLOR": "1"})

    assert "\\u009b" in shown
    assert not set(shown) & set("\x1b\x07\x9b\u202e")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_stdout_that_cannot_show_everything_gets_it_escaped(server: Scripted, encoding: str):
    process = start(
        server.url, "run", "team", "--follow", env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    )

    status, out, _ = ended(process)

    assert status == 0
    assert b"\\u2714 completed" in out


def test_a_failed_run_ends_the_process_with_1_and_a_missing_gateway_with_3(
    gateway: FakeGateway, server: Scripted
):
    gateway.story = [*gateway.story[:-1], ("run.cancelled", {"duration_ms": 1})]

    assert ended(start(server.url, "run", "team", "--follow"))[0] == 1
    assert ended(start("http://127.0.0.1:1", "workflows"))[0] == 3
    assert ended(start(server.url, "run"))[0] == 2
