"""Looks after a process: tells of an event loop that stands still, ends one that does for good, counts what it holds.

A service whose loop hangs is worse than a dead one: its port is open, its connections stay, and nothing comes. So a
thread looks at the loop; what starts services again (the supervisor, an orchestrator of containers) does the rest.
"""

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Self

import structlog

# EX_SOFTWARE of sysexits.h: a fault inside the program, told apart from a refusal to start.
EXIT_BLOCKED = 70

# No callback of ours takes a hundredth of this; whoever blocks the loop for so long should read its stack.
WARN_S = 1.0

# Four leases as shipped: a worker whose code computes keeps its sessions for three of them, and owns nothing any more
# when it is ended. A gateway's clients have missed four heartbeats.
BLOCKED_S_MAX = 60.0

# Four looks a second cost a thread some 50 µs of work. The loop ticks more often than it is looked at.
LOOK_S = 0.25
TICK_S = 0.1

# The last words must not keep the process: whoever reads its output may be what it hangs on.
LAST_WORDS_S = 1.0

log: structlog.stdlib.BoundLogger = structlog.get_logger("holdfast.watchdog")


class Watchdog:
    """Watches the loop in which it is entered (`with Watchdog(30):`); with a limit of 0 it only warns.

    A blocked loop is logged once, with the stack that blocks it, and once more when it goes on. Past `limit_s` every
    thread's stack is written to stderr and the process exits with EXIT_BLOCKED.

    A call into C that keeps the interpreter to itself stops this thread, too: for that there are liveness probes.
    """

    def __init__(
        self,
        limit_s: float,
        *,
        warn_s: float = WARN_S,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self._limit_s, self._warn_s, self._leave = limit_s, warn_s, leave
        self._ticks = 0
        self._warned = False
        self._stop = threading.Event()
        self._watched = 0
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._look, name="holdfast-watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._watched = threading.get_ident()
        self._tick(asyncio.get_running_loop())
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()
        self._thread.join()

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ticks += 1
        self._timer = loop.call_later(TICK_S, self._tick, loop)

    def _look(self) -> None:
        blocked_s, seen, looked_at = 0.0, self._ticks, time.monotonic()
        while not self._stop.wait(LOOK_S):
            now = time.monotonic()
            # Counted in looks of our own: a process that was stopped (SIGSTOP, a laptop asleep) has blocked nothing.
            step, looked_at = min(now - looked_at, 2 * LOOK_S), now
            if self._ticks != seen:
                if self._warned:
                    self._say(log.warning, "loop.went-on", blocked_s=round(blocked_s, 1))
                blocked_s, seen, self._warned = 0.0, self._ticks, False
                continue
            blocked_s += step
            if blocked_s >= self._warn_s and not self._warned:
                self._warned = True
                stack = _stack_of(self._watched)
                self._say(log.warning, "loop.blocked", blocked_s=round(blocked_s, 1), stack=stack)
            if 0 < self._limit_s <= blocked_s:
                self._end(blocked_s)
                return

    def _say(self, how: Callable[..., object], fact: str, **fields: object) -> None:
        # From a thread of its own: the loop may be blocked in a log line that nobody takes, holding the log's lock.
        threading.Thread(target=how, args=(fact,), kwargs=fields, daemon=True).start()

    def _end(self, blocked_s: float) -> None:
        words = f"the event loop has been blocked for {blocked_s:.1f} s; exit {EXIT_BLOCKED}\n{_all_stacks()}"
        # Not faulthandler: it keeps the interpreter while it writes, and a full pipe would keep that for ever.
        speech = threading.Thread(target=_write, args=(words.encode(),), daemon=True)
        speech.start()
        speech.join(LAST_WORDS_S)
        self._leave(EXIT_BLOCKED)


def vitals(loop: asyncio.AbstractEventLoop) -> Mapping[str, tuple[str, Callable[[], float]]]:
    """Return what is counted of any process of ours, by metric: a help text and how to read it, from any thread."""
    return {
        "holdfast_asyncio_tasks": (
            "Tasks of the event loop.",
            lambda: len(asyncio.all_tasks(loop)),
        ),
        "holdfast_open_fds": ("Open file descriptors.", _open_fds),
    }


def _open_fds() -> float:
    for place in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(place)) - 1  # without the one that lists them
        except OSError:
            continue
    return float("nan")  # this system doesn't tell


def _stack_of(thread: int) -> str:
    frame = sys._current_frames().get(thread)  # pyright: ignore[reportPrivateUsage]  # no public way
    return "" if frame is None else "".join(traceback.format_stack(frame))


def _all_stacks() -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "".join(
        f"--- {names.get(ident, 'unknown')}\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()  # pyright: ignore[reportPrivateUsage]
    )


def _write(words: bytes) -> None:
    while words:
        words = words[os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, words) :]
