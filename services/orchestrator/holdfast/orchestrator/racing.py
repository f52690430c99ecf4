"""Waiting for whichever comes first."""

import asyncio
from collections.abc import Awaitable


async def first_of(*waits: Awaitable[object]) -> int:
    """Return the place of the wait that ended first; the others are cancelled. Passes on its exception."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(place for place, task in enumerate(tasks) if task.done())
        await tasks[first]
        return first
    finally:
        for task in tasks:
            task.cancel()
