"""The other end of an offloaded call: a process that does one call after the other, as its parent asks.

Started by `offload`, never by a person. Requests come through stdin, answers leave through what was stdout; what the
called code prints goes to stderr. The end of stdin is the end of the process, also in the middle of a call: nobody
would take its answer.
"""

import contextlib
import importlib
import importlib.util
import os
import pickle
import queue
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

LENGTH = struct.Struct(">Q")


def read_frame(source: BinaryIO) -> bytes | None:
    """Return the next frame, None at the end."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    body = source.read(size)
    return body if len(body) == size else None


def write_frame(target: BinaryIO, body: bytes) -> None:
    """Write one frame."""
    target.write(LENGTH.pack(len(body)) + body)
    target.flush()


def resolve(module: str, file: str | None, qualname: str) -> Callable[..., Any]:
    """Return the function of this name. Raises what keeps it from being imported."""
    if module not in sys.modules and file is not None:
        spec = importlib.util.spec_from_file_location(module, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"can't load {file}")
        made = importlib.util.module_from_spec(spec)
        sys.modules[module] = made
        spec.loader.exec_module(made)
    found: Any = importlib.import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    return found


def perform(request: bytes) -> bytes:
    """Do one call; return its outcome, pickled: (True, result) or (False, error)."""
    from holdfast.orchestrator.current import idempotency

    try:
        (module, file, qualname), arguments, key = pickle.loads(request)  # noqa: S301 - our own parent
        args, kwargs = pickle.loads(arguments)  # noqa: S301 - our own parent
        with idempotency(key):
            return pickle.dumps((True, resolve(module, file, qualname)(*args, **kwargs)))
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the call's outcome
        return _failed(error)


def _failed(error: BaseException) -> bytes:
    with contextlib.suppress(Exception):
        if isinstance(error, Exception):
            body = pickle.dumps((False, error))
            pickle.loads(body)  # noqa: S301 - an error that can't be made anew is told as text
            return body
    return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


def main() -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests: queue.Queue[bytes] = queue.Queue()

    def listen() -> None:
        while (frame := read_frame(sys.stdin.buffer)) is not None:
            requests.put(frame)
        os._exit(0)

    paths = read_frame(sys.stdin.buffer)
    if paths is None:
        return
    sys.path[:] = pickle.loads(paths)  # noqa: S301 - our own parent
    threading.Thread(target=listen, name="requests", daemon=True).start()
    while True:
        write_frame(answers, perform(requests.get()))


if __name__ == "__main__":
    main()
