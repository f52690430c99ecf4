"""A cancel that a driver forgot is remembered."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def cancel_kept() -> Generator[None]:
    """Cancel the task at the end of the block if something inside has swallowed a cancel.

    Both drivers, redis-py when it sends and asyncpg when it lends a connection, use `asyncio.wait_for`, which until
    Python 3.12 forgets a cancel that comes just as it ends: the task then goes on for ever, and whoever waits for its
    end too.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
