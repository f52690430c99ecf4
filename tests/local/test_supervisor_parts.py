"""What the supervisor does when something goes wrong that a whole stack can't be made to do."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from holdfast.local import ports
from holdfast.local.data_dir import DataDir
from holdfast.local.guard import Guard
from holdfast.local.options import DevOptions
from holdfast.local.ports import FIRST_PORT, LAST_PORT
from holdfast.local.supervisor import GATEWAYS, ORCHESTRATORS, SERVERS, Supervisor
from tests.local.dev import eventually


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the next draws of a port give; a free one when they are used up."""
    numbers: list[int] = []
    choose = ports.random.randint
    monkeypatch.setattr(
        ports.random, "randint", lambda *bounds: numbers.pop(0) if numbers else choose(*bounds)
    )
    return numbers


def test_no_port_is_drawn_twice(draws: list[int]):
    """Nobody listens there yet, so a probe of the port can't tell."""
    one, two, three = (ports.free_port() for _ in range(3))
    assert len({one, two, three}) == 3
    draws += [one, one, two, one, two, three]
    supervisor = Supervisor(DevOptions(port=0, gateways=2), print)

    gateways, operations = supervisor._gateway_ports(), supervisor._draw_port()

    assert [*gateways, operations] == [one, two, three]


def test_a_port_that_was_asked_for_is_drawn_for_nobody_else(draws: list[int]):
    asked, other = ports.free_port(), ports.free_port()
    draws += [asked, other]
    supervisor = Supervisor(DevOptions(port=asked), print)

    assert supervisor._gateway_ports() == [asked]
    assert supervisor._draw_port() == other
    assert FIRST_PORT <= other <= LAST_PORT


class Sleeper:
    """A child that does nothing, and whose stop may fail."""

    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]] = ((signal.SIGTERM, 1.0),)
    address = "nowhere"

    def __init__(self, name: str, ended: list[str], *, fails: bool = False) -> None:
        self.name = name
        self._ended, self._fails = ended, fails
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.is_running() else None

    def is_running(self) -> bool:
        return self.process.poll() is None

    def start(self) -> None: ...

    def give_up(self) -> None: ...

    def kill_soon(self) -> None: ...

    def stop(self) -> None:
        if self._fails:
            raise subprocess.TimeoutExpired(self.name, 10)
        self._ended.append(self.name)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def ended() -> list[str]:
    """The names of the children that were ended, in order."""
    return []


@pytest.fixture
def child(ended: list[str]) -> Iterator[Callable[..., Sleeper]]:
    """Make a child that is gone after the test, however that ends."""
    made: list[Sleeper] = []

    def make(name: str, *, fails: bool = False) -> Sleeper:
        made.append(Sleeper(name, ended, fails=fails))
        return made[-1]

    yield make
    for one in made:
        one.process.kill()
        one.process.wait()


async def test_a_child_that_cannot_be_ended_keeps_no_other_alive_and_is_left_to_the_guard(
    tmp_path: Path,
    child: Callable[..., Sleeper],
    ended: list[str],
    capsys: pytest.CaptureFixture[str],
):
    hanging = child("gateway-1", fails=True)
    children = [
        (SERVERS, child("redis")),
        (ORCHESTRATORS, child("orchestrator-1")),
        (GATEWAYS, hanging),
        (GATEWAYS, child("gateway-2")),
    ]
    supervisor = Supervisor(DevOptions(data_dir=tmp_path), print)
    supervisor._data_dir = DataDir(tmp_path)
    supervisor._guard = Guard(supervisor._data_dir.lock_descriptor, tmp_path)
    supervisor._children += children
    guard = supervisor._guard._process

    await supervisor._shut_down()
    supervisor._let_go()

    assert ended == ["gateway-2", "orchestrator-1", "redis"]
    assert "gateway-1 could not be ended" in capsys.readouterr().err
    eventually(lambda: not hanging.is_running(), "the guard has ended it")
    assert guard.wait(10) == 0
    assert json.loads((tmp_path / "processes.json").read_text()) == []


async def test_a_list_of_processes_that_cannot_be_written_keeps_nothing_alive(
    tmp_path: Path,
    child: Callable[..., Sleeper],
    ended: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """A full disk is no reason to leave a Postgres running."""

    def full(self: DataDir, entries: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(DataDir, "write_processes", full)
    supervisor = Supervisor(DevOptions(data_dir=tmp_path), print)
    supervisor._data_dir = DataDir(tmp_path)
    supervisor._guard = Guard(supervisor._data_dir.lock_descriptor, tmp_path)
    supervisor._children += [
        (GATEWAYS, child("gateway-1")),
        (SERVERS, child("redis")),
    ]

    await supervisor._shut_down()
    supervisor._let_go()

    assert ended == ["gateway-1", "redis"]
    assert "no space left" in capsys.readouterr().err
