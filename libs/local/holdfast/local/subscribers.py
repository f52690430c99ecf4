"""Whether an application declares durable subscriptions: asked of a process that imports it, as we don't."""

import subprocess
import sys
from collections.abc import Mapping, Sequence

# Importing an application takes as long as a worker needs for it.
LIST_SECONDS = 60.0


def declares_subscriptions(command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Tell whether there are durable subscriptions; what can't be imported is the workers' to report.

    The exit code tells: what an application prints while it is imported is no answer.
    """
    try:
        done = subprocess.run(
            [*command, "--list"],
            env=dict(env),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=LIST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"holdfast dev: subscribers are not started: {error}", file=sys.stderr)  # noqa: T201 (for the terminal)
        return False
    return done.returncode == 0
