"""The invariants are told in the same words wherever they stand."""

import re
from pathlib import Path

import pytest

from holdfast.verify import CHECKS, Invariant, sentence

PAGE = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text()


@pytest.mark.parametrize("invariant", Invariant)
def test_the_architecture_has_each_invariant_in_the_checkers_words(invariant: Invariant):
    told = dict(re.findall(r"^\| (I\d+) [^|]*\| ([^|]+) \|", PAGE, re.M))

    assert told[invariant] == sentence(invariant)


def test_every_sentence_is_one():
    for invariant in CHECKS:
        assert re.fullmatch(r"[A-Z][^.]+\.", sentence(invariant)), invariant
