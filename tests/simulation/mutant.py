"""A bug that is built in on purpose, to see whether the campaign finds it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

# Where mutants are declared: a mapping MUTANTS, name → Mutant.
_MODULE = "tests.simulation.mutants"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`apply()` is entered before each schedule and left after it; the product must be as it was then."""

    name: str
    breaks: str  # the promise, in a sentence
    apply: Callable[[], AbstractContextManager[Any]]


def mutants() -> dict[str, Mutant]:
    """Return every mutant by name."""
    if find_spec(_MODULE) is None:
        return {}
    return cast("dict[str, Mutant]", dict(import_module(_MODULE).MUTANTS))


def mutant(name: str) -> Mutant:
    """Return one. Raises ValueError for a name that is none."""
    known = mutants()
    if name not in known:
        raise ValueError(f"no mutant {name!r}; known: {', '.join(sorted(known)) or 'none'}")
    return known[name]
