"""Processes of the simulation: what is paused and killed as one."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.loop import Handle, SimulatedLoop


class State(Enum):
    """How a process is."""

    RUNNING = "running"
    PAUSED = "paused"  # as after SIGSTOP: time passes, nothing of it runs
    DEAD = "dead"  # as after SIGKILL: nothing of it ever runs again


class Process:
    """What is paused and killed as one. Its code, and everything that this starts, runs in its context."""

    def __init__(self, loop: "SimulatedLoop", name: str) -> None:
        self.name = name
        self.state = State.RUNNING
        self.proceeded_at = 0.0  # when it was held back last
        self.ready: deque[Handle] = deque()
        self.parts: list[Process] = []  # share its fate, but may be paused alone
        self.loop = loop
        self.context = copy_context()
        self.context.run(PROCESS.set, self)

    def __repr__(self) -> str:
        return f"<{self.name} {self.state.value}>"

    @property
    def alive(self) -> bool:
        """Whether it was not killed."""
        return self.state is not State.DEAD

    def part(self, name: str) -> "Process":
        """Return a part of this process: a thread beside the main one."""
        part = Process(self.loop, f"{self.name}.{name}")
        self.parts.append(part)
        return part

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` in this process."""
        return self.loop.create_task(work, context=self.context.copy())

    def call(self, callback: Callable[..., object], *args: Any) -> None:
        """Have `callback` called in this process, soon."""
        self.loop.call_soon(callback, *args, context=self.context)

    def pause(self) -> None:
        """Hold it back."""
        if self.state is State.RUNNING:
            self.state = State.PAUSED
            self.loop.leave(self)
        for part in self.parts:
            part.pause()

    def proceed(self) -> None:
        """Let it go on, with all that came meanwhile."""
        if self.state is State.PAUSED:
            self.state = State.RUNNING
            self.proceeded_at = self.loop.time()
            if self.ready:
                self.loop.enter(self)
        for part in self.parts:
            part.proceed()

    def kill(self) -> None:
        """End it in the middle of whatever it does: not even a `finally` runs."""
        if self.state is State.DEAD:
            return
        if self.state is State.RUNNING:
            self.loop.leave(self)
        self.state = State.DEAD
        # What it was about to do stays unreachable, but not forgotten: a coroutine that is dropped would clean up.
        self.loop.bury(self)
        self.ready = deque()
        for part in self.parts:
            part.kill()


PROCESS: ContextVar[Process] = ContextVar("process")


def current_process() -> Process:
    """Return the process that runs now."""
    return PROCESS.get()


def process_name() -> str:
    """Return the name of the process that runs now, if one does."""
    process = PROCESS.get(None)
    return "nobody" if process is None else process.name
