"""Calls that would block the event loop, in threads or in processes of their own; both pools are bounded.

A worker's loop renews nothing while it computes, but all of its neighbours wait. A thread helps with code that waits in
C or in the system (files, sockets, hashing); code that computes in Python needs a process, which can also be killed: a
cancelled run doesn't leave a core busy behind it.
"""

import asyncio
import atexit
import contextvars
import inspect
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, cast

from holdfast.events.errors import HoldfastError
from holdfast.orchestrator.current import idempotency_key
from holdfast.orchestrator.offload_child import read_frame, write_frame

Offload = Literal["thread", "process"]

# Threads mostly wait: as many as asyncio's own pool has, but ours, so that name look-ups never queue behind a step.
THREADS_MAX = min(32, (os.cpu_count() or 1) + 4)

# Processes compute: one a core, and one core is left to the event loop.
PROCESSES_MAX = max(1, (os.cpu_count() or 2) - 1)

# A killed or closed process is gone in milliseconds.
REAP_S = 5.0


class OffloadError(HoldfastError):
    """A function can't be called elsewhere, or the process that called it died."""

    code = "offload"


class _Child:
    """One process that waits for calls."""

    def __init__(self) -> None:
        self.killed = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "holdfast.orchestrator.offload_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C on a terminal reaches the whole group: the worker decides what becomes of its calls.
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        write_frame(cast("Any", self._to), pickle.dumps(sys.path))

    def call(self, request: bytes) -> bytes | None:
        """Send a request and wait for its answer; None when the process died."""
        try:
            write_frame(cast("Any", self._to), request)
            return read_frame(cast("Any", self._from))
        except (OSError, ValueError):
            return None

    def kill(self) -> None:
        """End it now, whatever it does."""
        self.killed = True
        self._process.kill()

    def close(self) -> int | None:
        """Reap it; return its exit code."""
        for pipe in (self._to, self._from):
            try:
                pipe.close()
            except OSError:
                continue
        try:
            return self._process.wait(REAP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class Processes:
    """Up to `limit` processes, started when needed and kept for the next call."""

    def __init__(self, limit: int = PROCESSES_MAX) -> None:
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._lock = threading.Lock()
        self._slots = ThreadPoolExecutor(limit, thread_name_prefix="holdfast-process")

    @property
    def busy(self) -> int:
        """How many calls are under way."""
        return len(self._busy)

    async def call(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call an importable function in a process. Cancelled, the process is killed."""
        request = pickle.dumps(
            (_address(name, function), _arguments(name, args, kwargs), idempotency_key())
        )
        call = _Call()
        try:
            return await asyncio.wrap_future(self._slots.submit(self._perform, name, request, call))
        except asyncio.CancelledError:
            call.cancel()
            raise

    def close(self) -> None:
        """End every process."""
        with self._lock:
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for child in busy:
            child.kill()
        for child in idle:
            child.close()

    def _perform(self, name: str, request: bytes, call: "_Call") -> Any:
        with self._lock:
            child = self._idle.pop() if self._idle else None
        child = child or _Child()
        with self._lock:
            self._busy.add(child)
        answer = None
        try:
            if call.begin(child):
                answer = child.call(request)
        finally:
            with self._lock:
                self._busy.discard(child)
                alive = answer is not None and not child.killed
                if alive:
                    self._idle.append(child)
            code = None if alive else child.close()
        if answer is None:
            raise OffloadError(f"{name}: the process that ran it died with exit code {code}")
        worked, value = pickle.loads(answer)  # noqa: S301 - our own child
        if not worked:
            raise value
        return value


class _Call:
    """Whether a call was cancelled before or while a process did it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._child: _Child | None = None

    def begin(self, child: _Child) -> bool:
        with self._lock:
            self._child = child
            return not self._cancelled

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._child is not None:
                self._child.kill()


def _address(name: str, function: Callable[..., Any]) -> tuple[str, str | None, str]:
    module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", "?")
    if inspect.iscoroutinefunction(function) or not inspect.isfunction(function):
        raise OffloadError(
            f'{name}: offload="process" takes an ordinary function, not {function!r}'
        )
    if module is None or module == "__main__" or "<" in qualname:
        raise OffloadError(
            f"{name}: {qualname} can't be imported by another process; move it to the top of a module, under a `def`"
        )
    # A module that was loaded from a file is in no package: the process loads the same file.
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return module, getattr(spec, "origin", None), qualname


def _arguments(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    try:
        return pickle.dumps((args, kwargs))
    except Exception as error:
        raise OffloadError(
            f"{name}: its arguments can't be sent to another process: {error}"
        ) from error


_threads: list[ThreadPoolExecutor] = []
_processes: list[Processes] = []


async def offloaded(
    how: Offload, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """Call `function` in a thread or a process. Cancelled, a process is killed; a thread ends by itself, unheard."""
    if how == "process":
        if not _processes:
            _processes.append(Processes())
        return await _processes[0].call(name, function, *args, **kwargs)
    if inspect.iscoroutinefunction(function):
        raise OffloadError(
            f'{name}: offload="thread" takes an ordinary function, not an `async def`'
        )
    if not _threads:
        _threads.append(ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="holdfast-step"))
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(
        _threads[0], lambda: context.run(function, *args, **kwargs)
    )


def close_processes() -> None:
    """End the processes of the pool; the next offloaded call starts new ones."""
    while _processes:
        _processes.pop().close()


atexit.register(close_processes)
