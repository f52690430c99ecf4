"""How a service that is to run more than once becomes its own supervisor."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

# Each process has its own interpreter, connections and memory: beyond the cores of any machine it is a typing error.
PROCESSES_MAX = 64


def become(
    name: str,
    count: int,
    command: Sequence[str],
    environment: Mapping[str, str],
    options: Mapping[str, str | float | None],
) -> NoReturn:
    """Replace this process by a supervisor of `count` processes that run `command`.

    The same pid goes on, so whoever started it still knows it, without the memory of all that the service imported.
    `options` are those of `python -m holdfast.processes`; None leaves one out. Secrets belong into the environment.
    """
    words = [f"--{option}={value}" for option, value in options.items() if value is not None]
    supervisor = [sys.executable, "-m", "holdfast.processes", f"--name={name}", f"--count={count}"]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(  # noqa: S606 - no shell is the point
        sys.executable, [*supervisor, *words, "--", *command], {**os.environ, **environment}
    )


def refusal(count: int) -> str | None:
    """Return why this machine can't run so many processes behind one port; None if it can."""
    if count > 1 and sys.platform == "win32":
        return "several processes behind one port need Linux or another Unix; run them one by one"
    return None
