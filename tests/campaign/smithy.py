"""The fork server: imports everything once, then forks workers and gateways that are up in tens of milliseconds.

    python -m tests.campaign.smithy SOCKET_FD

One thread, no event loop, nothing open but the socket: what is forked is as good as freshly started. A child runs the
production `main` with settings from its environment. When the socket closes the smithy ends, however its campaign went,
and the kernel ends its children with it.
"""

import ctypes
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

import orjson

# What every child will need, and what declares workflows.
_IMPORTED = (
    "uvloop",
    "holdfast.gateway.__main__",
    "holdfast.orchestrator.__main__",
    "holdfast.orchestrator.executors.langgraph_saver",
    "holdfast.orchestrator.workflows.team",
    "holdfast.orchestrator.workflows.ticker",
    "tests.campaign.doomed",
    "tests.campaign.failpoints",
    "tests.campaign.hooks",
    "tests.campaign.workflows",
)

PR_SET_PDEATHSIG = 1

_BROKE = 99  # a child that failed before or outside of its service's own main

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Fork what is asked for until the socket closes."""
    wire = socket.socket(fileno=int(sys.argv[1]))
    _import_everything()
    assert threading.active_count() == 1, "a thread doesn't survive a fork"
    gc.collect()
    gc.freeze()
    wake, wakes = os.pipe()
    os.set_blocking(wakes, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _nothing)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the campaign, which closes the socket
    with selectors.DefaultSelector() as selector:
        selector.register(wire, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        _say(wire, {"ready": os.getpid()})
        pending = b""
        while True:
            for key, _ in selector.select():
                if key.fileobj is wire:
                    try:
                        chunk = wire.recv(1 << 16)
                    except ConnectionError:
                        chunk = b""  # the campaign was killed
                    if not chunk:
                        os._exit(0)
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in lines:
                        _forge(wire, orjson.loads(line), (wake, wakes))
                else:
                    os.read(wake, 1 << 10)
            _reap(wire)


def _import_everything() -> None:
    for name in _IMPORTED:
        importlib.import_module(name)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Be called: only a signal with a handler wakes the loop up."""


def _say(wire: socket.socket, fact: dict[str, Any]) -> None:
    wire.sendall(orjson.dumps(fact) + b"\n")


def _reap(wire: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        # Negative for a signal, as subprocess says it.
        code = os.waitstatus_to_exitcode(status)
        _say(wire, {"exited": pid, "code": code, "at": time.time()})


def _forge(wire: socket.socket, order: dict[str, Any], wakeup: tuple[int, int]) -> None:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        _say(wire, {"forged": order["n"], "pid": pid})
        return
    code = _BROKE
    try:
        _become(wire, order, parent, wakeup)
        code = _serve(order)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:  # noqa: BLE001 - a forked copy of the smithy must not go on as one
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Never back into the smithy's loop, and none of its cleaning up.
        os._exit(code)


def _become(
    wire: socket.socket, order: dict[str, Any], parent: int, wakeup: tuple[int, int]
) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    for descriptor in wakeup:
        os.close(descriptor)
    wire.close()
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(order["env"])


def _serve(order: dict[str, Any]) -> int:
    from tests.campaign import failpoints, hooks
    from tests.campaign.evidence import Notebook
    from tests.campaign.points import Shot

    notebook = Notebook(Path(order["notebook"]))
    points = failpoints.Failpoints([Shot.of(text) for text in order["shots"]], notebook)
    if order["kind"] == "worker":
        from holdfast.orchestrator import __main__ as worker

        # In this order: what is patched first lies inside of what is patched later.
        failpoints.inside(points)
        hooks.on_worker(notebook)
        failpoints.on_worker(points)
        if order.get("deaf"):
            hooks.deafen()
        return worker.main([])
    from holdfast.gateway import __main__ as gateway

    hooks.on_gateway(notebook)
    failpoints.on_gateway(points)
    return gateway.main([])


if __name__ == "__main__":
    main()
