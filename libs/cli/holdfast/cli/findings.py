"""What the doctor found: each thing it looked at, how it is, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"  # works; something may surprise
    FAIL = "fail"  # doesn't work, or may lose what was confirmed


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    says: str
    do: str = ""


def ok(subject: str, says: str) -> Finding:
    """Report something that is as it should be."""
    return Finding(Level.OK, subject, says)


def warn(subject: str, says: str, do: str) -> Finding:
    """Report something that works and may surprise."""
    return Finding(Level.WARN, subject, says, do)


def fail(subject: str, says: str, do: str) -> Finding:
    """Report something that must be mended."""
    return Finding(Level.FAIL, subject, says, do)
