"""Workers and gateways as processes, up in tens of milliseconds, each with a name, and hurt by pid only."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from holdfast.local.ports import free_port
from tests.campaign.evidence import Pages
from tests.campaign.points import Shot

# Importing everything takes 2 s on a quiet machine.
READY_S = 60.0

# A fork takes 10 ms.
FORGED_S = 10.0

# A worker that was told to end hands its runs over: the product's own cap for that is 15 s and 5 s.
LEAVE_S = 25.0

_ROOT = Path(__file__).parents[2]


@dataclass(eq=False)
class Child:
    """A process that was forged."""

    name: str
    kind: str
    pid: int
    begun_at: float
    shots: tuple[str, ...] = ()
    code: int | None = None  # how it ended; negative for a signal
    died_at: float | None = None  # by the wall clock
    asked_to_end: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def alive(self) -> bool:
        """Whether its end has not been heard of."""
        return not self.gone.is_set()

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it is alive. Its pid is nobody else's until the smithy has reaped it, which we hear of within
        milliseconds, and the kernel gives a pid out again after thousands of others.
        """
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> float:
        """End it as a crash would; return when, by the wall clock."""
        at = time.time()
        self.send(signal.SIGKILL)
        return at

    def terminate(self) -> None:
        """Ask it to end."""
        self.asked_to_end = True
        self.send(signal.SIGTERM)


class Forge:
    """The campaign's side of the smithy."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pages = Pages(directory / "notes")
        self.children: dict[str, Child] = {}  # alive, or gone and not yet looked at
        self._by_pid: dict[int, Child] = {}
        self._orders: dict[int, asyncio.Future[int]] = {}
        self._exits: dict[
            int, tuple[int, float]
        ] = {}  # of children whose birth was not heard of yet
        self._next = 0
        self._made: set[str] = set()

    async def start(self) -> None:
        """Return when the smithy has imported everything."""
        for part in ("notes", "logs"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - a fork and no wait
                [sys.executable, "-m", "tests.campaign.smithy", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=_ROOT,
                start_new_session=True,
            )
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        async with asyncio.timeout(READY_S):
            line = await self._reader.readline()
        assert b"ready" in line, f"the smithy did not start: {line!r}"
        self._listening = asyncio.create_task(self._listen(), name="forge")

    async def close(self) -> None:
        """End every child and the smithy."""
        for child in self.children.values():
            child.kill()
        self._listening.cancel()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        await asyncio.to_thread(self._process.wait)

    async def worker(
        self, name: str, env: Mapping[str, str], shots: Sequence[Shot] = (), *, deaf: bool = False
    ) -> Child:
        """Start a worker; a deaf one hears no hints and finds its work by polling."""
        env = {**env, "HOLDFAST_WORKER_NAME": name}
        return await self._forge("worker", name, env, shots, deaf=deaf)

    async def gateway(
        self, name: str, env: Mapping[str, str], *, port: int, shots: Sequence[Shot] = ()
    ) -> Child:
        """Start a gateway on a port of its own (`free_port`) and wait until it answers there."""
        child = await self._forge("gateway", name, {**env, "HOLDFAST_PORT": str(port)}, shots)
        deadline = time.monotonic() + READY_S
        while True:
            if not child.alive or time.monotonic() > deadline:
                said = self.log(name).read_text(errors="replace")[-2000:]
                raise AssertionError(f"{name} does not answer, exit code {child.code}: {said}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            return child

    def port(self) -> int:
        """Return a port for a gateway, to be kept over its restarts."""
        return free_port()

    async def leave(self, children: Sequence[Child]) -> list[Child]:
        """Ask children to end and return those that had to be killed for it."""
        for child in children:
            child.terminate()
        late: list[Child] = []
        deadline = time.monotonic() + LEAVE_S
        for child in children:
            try:
                async with asyncio.timeout(max(0.1, deadline - time.monotonic())):
                    await child.gone.wait()
            except TimeoutError:
                late.append(child)
                child.kill()
                await child.gone.wait()
        return late

    def log(self, name: str) -> Path:
        """Return the file into which a child prints."""
        return self.directory / "logs" / f"{name}.log"

    def forget(self, child: Child) -> None:
        """Drop a child that is gone, with what it wrote."""
        self.children.pop(child.name, None)
        self._by_pid.pop(child.pid, None)
        self.pages.forget(child.name)
        self.log(child.name).unlink(missing_ok=True)

    async def _forge(
        self,
        kind: str,
        name: str,
        env: Mapping[str, str],
        shots: Sequence[Shot],
        *,
        deaf: bool = False,
    ) -> Child:
        assert name not in self._made, (
            f"{name} was there before: notebooks and latencies go by name"
        )
        self._made.add(name)
        self._next += 1
        number, born = self._next, asyncio.get_running_loop().create_future()
        self._orders[number] = born
        order: dict[str, Any] = {
            "n": number,
            "kind": kind,
            "deaf": deaf,
            "env": dict(env),
            "shots": [str(shot) for shot in shots],
            "log": str(self.log(name)),
            "notebook": str(self.pages.path(name)),
        }
        begun_at = time.time()
        self._writer.write(orjson.dumps(order) + b"\n")
        async with asyncio.timeout(FORGED_S):
            pid = await born
        child = Child(name, kind, pid, begun_at, tuple(order["shots"]))
        self.children[name] = self._by_pid[pid] = child
        if (exit_ := self._exits.pop(pid, None)) is not None:
            self._ended(child, *exit_)
        return child

    async def _listen(self) -> None:
        while line := await self._reader.readline():
            fact = orjson.loads(line)
            if "forged" in fact:
                self._exits.pop(fact["pid"], None)
                self._by_pid.pop(fact["pid"], None)
                self._orders.pop(fact["forged"]).set_result(fact["pid"])
            elif (child := self._by_pid.get(fact["exited"])) is not None:
                self._ended(child, fact["code"], fact["at"])
            else:
                self._exits[fact["exited"]] = (fact["code"], fact["at"])

    def _ended(self, child: Child, code: int, at: float) -> None:
        child.code, child.died_at = code, at
        child.gone.set()
