"""Functions that another process can import."""

import os
import time

from holdfast.orchestrator.current import idempotency_key


def square(number: int) -> int:
    return number * number


def spins(seconds: float) -> float:
    """Compute for a while without a pause."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return seconds


def raises() -> None:
    raise KeyError("from afar")


def exits() -> None:
    os._exit(3)


def key_of_step() -> str | None:
    return idempotency_key()
