"""What the code under test logs, taken as facts instead of lines: counted, traced, and judged.

The modules' own loggers are replaced while a schedule runs: whatever else in the process configured logging stays as
it was, and a fact costs a microsecond.
"""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from tests.simulation.process import process_name

# Logged with `exception`, or as an error, although a fault is its cause: what the product does about it is the promise.
EXPECTED = frozenset(
    {
        "append.refused",  # a rule of the log; the run fails
        "run.abandoned",  # a workflow that ignores its cancelling
    }
)

Fact = Callable[[str, str, dict[str, Any]], None]
"""Takes process, event and fields."""


class FactLogger:
    """Stands in for a structlog logger."""

    def __init__(self, tell: Fact, wrong: Fact) -> None:
        self._tell, self._wrong = tell, wrong

    def info(self, event: str, **fields: Any) -> None:
        """Take a fact in."""
        self._tell(process_name(), event, fields)

    debug = warning = info

    def error(self, event: str, **fields: Any) -> None:
        """Take in a fact that no fault explains."""
        name = process_name()
        self._tell(name, event, fields)
        if event not in EXPECTED:
            self._wrong(name, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Take in an error that nobody thought of."""
        self.error(event, error=repr(sys.exc_info()[1]), **fields)


@lru_cache(maxsize=1)
def _speaking(_known: int) -> list[Any]:
    """Return the modules of the product that log. There are thousands of modules: looked for when there are more."""
    return [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("holdfast.") and getattr(module, "log", None) is not None
    ]


@contextmanager
def facts(tell: Fact, wrong: Fact) -> Generator[None]:
    """Have every logger of the product speak to `tell`, and to `wrong` of what should never be."""
    logger = FactLogger(tell, wrong)
    before: list[tuple[Any, Any]] = []
    for module in _speaking(len(sys.modules)):
        before.append((module, module.log))
        module.log = logger
    try:
        yield
    finally:
        for module, known in before:
            module.log = known
