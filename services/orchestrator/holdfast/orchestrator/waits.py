"""How a run says that it waits: an exception that unwinds to whoever can wait for it."""

import math
from collections.abc import Callable
from typing import cast

from holdfast.events.errors import StoreUnavailable
from holdfast.orchestrator.session_log import Fenced

# Not failures of what was done: the attempt is over, or the database is away and it is done over later.
NOT_OURS = (Fenced, StoreUnavailable)


def never() -> bool:
    """Nothing is expected while this attempt lasts."""
    return False


class Waiting(BaseException):
    """The run waits for something and gives its worker back; not an error, so `except Exception` lets it pass.

    `ready()` tells whether what it waits for has come meanwhile, `due_at` (monotonic) when to look in any case: so
    that a lane can go on while others are still at work.
    """

    def __init__(self, ready: Callable[[], bool] = never, *, due_at: float = math.inf) -> None:
        super().__init__()
        self.ready, self.due_at = ready, due_at


def cause_of(error: BaseException | None) -> BaseException | None:
    """Return what branches agree on: when all of them wait, whoever waits for them waits."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [cause_of(one) for one in error.exceptions]
    if found := next((one for one in causes if isinstance(one, NOT_OURS)), None):
        return found
    if all(isinstance(one, Waiting) for one in causes):
        waits = cast("list[Waiting]", causes)
        return Waiting(
            lambda: any(one.ready() for one in waits), due_at=min(one.due_at for one in waits)
        )
    return error
