"""Which code was played: what the state of a long proof says beside its numbers."""

import subprocess
from functools import cache
from pathlib import Path

UNKNOWN = "unknown"
"""Of what was played where there is no git, or before anybody wrote it down."""

_HERE = Path(__file__).parent

# A status of the whole tree takes a tenth of a second; on a disk that stands still nothing is played either.
_GIT_S = 20.0


@cache
def commit() -> str:
    """Return the short name of the commit that is checked out, with a `+` when the tree differs from it.

    It is looked up once in a process, as its code is read once: ask when the process begins.
    """
    name = _git("rev-parse", "--short", "HEAD")
    if not name:
        return UNKNOWN
    # What git doesn't know isn't counted, or a state file beside the code would make every tree another one.
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    return name if changed == "" else f"{name}+"


def _git(*words: str) -> str | None:
    """Return what git says; None if there is none, or it has nothing to say of this directory."""
    try:
        # From the top of the tree, whichever directory we are run in; somebody may be committing in it just now.
        said = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(_HERE.parent), *words],
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()
