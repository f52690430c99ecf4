"""A supervisor over `tests.processes.service`, as the tests start it."""

import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from holdfast.local.ports import free_port
from tests.local.dev import eventually
from tests.processes.conftest import marked

ROOT = Path(__file__).parents[2]

# The same, with something changed before.
CHANGED = """
import asyncio, os, signal, sys
import holdfast.processes.listeners as listeners, holdfast.processes.supervisor as supervisor
from holdfast.processes.__main__ import main
%s
sys.exit(main())
"""

# Less patience than a minute.
IMPATIENT = "supervisor.PING_S = 0.1"

# Told to end while it starts its second process: there is one, but whoever started it doesn't know it yet. Ten turns of
# the loop are enough for the signal to be heeded.
TOLD_WHILE_STARTING = """
start, starts = asyncio.create_subprocess_exec, []
async def told(*words, **options):
    process = await start(*words, **options)
    starts.append(process)
    if len(starts) == 2:
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(10):
            await asyncio.sleep(0)
    return process
asyncio.create_subprocess_exec = told
"""

# No socket is to be had any more.
SOCKETLESS = """
def renew(self, number):
    raise OSError("no socket left")
listeners.Listeners.renew = renew
"""


class Several:
    """A running supervisor of `tests.processes.service`."""

    def __init__(
        self, folder: Path, *, count: int = 2, patience: float = 30, changed: str | None = None
    ) -> None:
        self.folder, self.count, self.port = folder, count, free_port()
        options = [f"--count={count}", f"--patience={patience}", "--name=service"]
        options.append(f"--listen=127.0.0.1:{self.port}")
        program = ["-m", "holdfast.processes"] if changed is None else ["-c", CHANGED % changed]
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, *program, *options, "--"),
                    *(sys.executable, "-m", "tests.processes.service", str(folder)),
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def starts(self, number: int) -> list[tuple[int, float]]:
        """The pids and moments of a process' starts."""
        path = self.folder / "starts"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(int(pid), float(at)) for who, pid, at in lines if int(who) == number]

    def ready(self) -> "Several":
        eventually(lambda: "supervisor.ready" in self.said, "all serve")
        return self

    def pid(self, number: int) -> int:
        return self.starts(number)[-1][0]

    def ask(self, word: bytes = b"who") -> str:
        return self.answer(self.connected(word))

    def connected(self, word: bytes = b"who") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(word + b"\n")
        return connection

    def answer(self, connection: socket.socket) -> str:
        with connection:
            pieces: list[bytes] = []
            while piece := connection.recv(65536):
                pieces.append(piece)
        return b"".join(pieces).decode()

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


@contextmanager
def several(
    folder: Path, *, count: int = 2, patience: float = 30, changed: str | None = None
) -> Generator[Several]:
    """A supervisor that is killed in the end; none of its processes needs more than that to end, too."""
    running = Several(folder, count=count, patience=patience, changed=changed)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
    eventually(lambda: not marked(str(folder)), "nothing is left behind")
