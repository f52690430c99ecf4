"""Every numbered promise of the protocol is held by a test that says so."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/protocol.md").read_text()
PROMISES = re.findall(r"^- <a id=\"p\d+\"></a>\*\*(P\d+)\*\*", PAGE, re.M)

# `protocol P2, P3` in a comment, a docstring or the name of a test.
_CITATION = re.compile(r"protocol (P\d+(?:, P\d+)*)")


def cited() -> dict[str, set[str]]:
    """Return what is cited, and where: by the tests in Python, and those in JavaScript."""
    found: dict[str, set[str]] = {}
    tests = [
        *(ROOT / "tests").rglob("test_*.py"),
        *(ROOT / "libs/client-js/tests").rglob("*.ts*"),
        *(ROOT / "services/gateway/console/tests").rglob("*.ts*"),
    ]
    for test in tests:
        if test == Path(__file__):
            continue
        for numbers in _CITATION.findall(test.read_text()):
            for number in numbers.split(", "):
                found.setdefault(number, set()).add(str(test.relative_to(ROOT)))
    return found


CITED = cited()


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_is_held_by_a_test(promise: str):
    assert CITED.get(promise), f"no test says that it holds protocol {promise}"


def test_what_tests_cite_is_promised():
    assert CITED.keys() <= set(PROMISES), {
        number: files for number, files in CITED.items() if number not in PROMISES
    }


def test_promises_are_numbered_in_order_and_linked_by_their_number():
    assert [f"P{n}" for n in range(1, len(PROMISES) + 1)] == PROMISES
    assert re.findall(r'<a id="(p\d+)">', PAGE) == [promise.lower() for promise in PROMISES]
