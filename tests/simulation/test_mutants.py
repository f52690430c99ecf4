"""Every deliberate bug is caught by a campaign, and for the promise that it breaks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.schedule import run_schedule

# The seeds below catch their mutant at once. The product's next change may shift every schedule: then a campaign of so
# many seeds has to find it, as it found these.
SEARCHED = 400


@dataclass(frozen=True, slots=True)
class Expected:
    """By what a mutant is caught: any of these invariants, or what else the simulation saw (see `named`)."""

    by: frozenset[str]
    seeds: tuple[int, ...]


def _by(by: str, *seeds: int) -> Expected:
    return Expected(frozenset(by.split()), seeds)


EXPECTED = {
    "no-fence": _by("I1 I2 I8", 15, 25),
    "no-epoch": _by("I8", 242, 753),
    "two-ends": _by("I6", 2, 5),
    "results-forgotten": _by("I7", 2, 5),
    "acked-before-commit": _by("I7", 2, 7),
    "published-before-commit": _by("I4 published", 0, 2),
    "unknown-is-recorded": _by("I1 I4 I5 published", 15, 18),
    "unknown-is-absent": _by("I1 I9 I10", 4, 8),
    "lost-command": _by("I9", 20, 25),
    "endless-poison": _by("I10", 3, 10),
    "leases-for-ever": _by("I9 I10", 96, 102),
    "nobody-looks": _by("I10", 28, 29),
    "gap-ignored": _by("I3 I10", 66, 190),
    "push-unchecked": _by("I3 I10", 2, 5),
    "from-the-end": _by("I3", 0, 2),
    "inclusive-after": _by("I3", 1, 2),
    "cursor-ignored": _by("I3", 1, 2),
    "id-on-heartbeat": _by("I3", 0, 4),
    "slow-client-skips": _by("I3", 5, 6),
    "chorus-forgotten": _by("I3", 2, 3),
    "chorus-skips": _by("I3 I10", 2, 4),
    "chorus-joined-anywhere": _by("I3", 30, 65),
    "chorus-falls-silent": _by("silence", 18, 32),
    "wake-up-lost": _by("untold", 0, 1),
    "pages-of-others": _by("I3 I4 I5 I12", 2, 5),
}


def named(violations: Iterable[str]) -> set[str]:
    """Return the invariants that violations name, in whatever way they were seen."""
    found: set[str] = set()
    for one in violations:
        if told := re.match(r"(?:S: )?(I\d+) ", one):
            found.add(told[1])
        elif re.match(r"S: \S+ published ", one):
            found.add("published")
        elif re.match(r"S: \S+ heard nothing ", one):
            found.add("silence")
        elif re.match(r"S: \d+ readers were untold", one):
            found.add("untold")
    return found


def caught(name: str, seeds: Iterable[int]) -> int | None:
    """Return the first seed that catches a mutant for what it breaks."""
    for seed in seeds:
        if named(run_schedule(seed, around=MUTANTS[name].apply).violations) & EXPECTED[name].by:
            return seed
    return None


def test_there_are_enough_mutants_and_each_says_what_catches_it() -> None:
    assert len(MUTANTS) >= 16
    assert set(EXPECTED) == set(MUTANTS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught_for_what_it_breaks(name: str) -> None:
    seed = caught(name, [*EXPECTED[name].seeds, *range(SEARCHED)])

    assert seed is not None, MUTANTS[name].breaks
    # It was the mutant: without it the same schedule breaks nothing, and the product is as it was.
    assert run_schedule(seed).violations == []
