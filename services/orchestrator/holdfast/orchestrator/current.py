"""What the function of a step may know of the step it runs for, wherever it runs: in the loop, a thread, a process."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_key: ContextVar[str | None] = ContextVar("holdfast_idempotency_key", default=None)


def idempotency_key() -> str | None:
    """Return the key for external effects of the current step, `run_id:step_key`; None outside of steps."""
    return _key.get()


@contextmanager
def idempotency(key: str | None) -> Generator[None, None, None]:
    """Let `key` be the current one."""
    token = _key.set(key)
    try:
        yield
    finally:
        _key.reset(token)
