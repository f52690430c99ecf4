"""A pytest plugin, loaded by `make test`: a test that did not run is a failure, not a remark.

A machine without a server or a browser would otherwise look as green as one that has proved something.
"""

from typing import Any

import pytest

_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a test that was skipped, or expected to fail and did."""
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a whole file that was skipped."""
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End with 1 if anything was skipped."""
    if _skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which."""
    for nodeid in _skipped:
        terminalreporter.write_line(f"SKIPPED, which is a failure here: {nodeid}", red=True)
