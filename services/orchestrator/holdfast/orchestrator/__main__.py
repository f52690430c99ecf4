"""The worker as a process: `python -m holdfast.orchestrator`. Settings come from the environment, see `settings`.

Exit codes: 0 after SIGTERM or SIGINT, 1 when something it needs is not there, 2 when it was told wrongly.
"""

import asyncio
import sys
from collections.abc import Sequence

import uvloop
from pydantic import ValidationError

from holdfast.events.errors import HoldfastError
from holdfast.events.logs import configure_logging
from holdfast.orchestrator.app import serve
from holdfast.orchestrator.settings import OrchestratorSettings

EXIT_MISSING = 1
EXIT_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker until it is told to stop; return the exit code."""
    given = sys.argv[1:] if argv is None else argv
    if given:
        wanted = {"-h", "--help"} & set(given)
        print(__doc__ if wanted else f"unexpected argument {given[0]!r}", file=sys.stderr)  # noqa: T201
        return 0 if wanted else EXIT_USAGE
    try:
        settings = OrchestratorSettings()  # pyright: ignore[reportCallIssue] - filled from the environment
    except ValidationError as error:
        for problem in error.errors():
            name = f"HOLDFAST_{problem['loc'][0]}".upper() if problem["loc"] else "settings"
            print(f"{name}: {problem['msg']}", file=sys.stderr)  # noqa: T201 - said to who starts it
        return EXIT_USAGE
    configure_logging(settings.log_level.lower(), console=settings.log_format.lower() == "console")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except asyncio.CancelledError:
        return 1
    except (HoldfastError, OSError, ValueError) as error:
        print(f"the worker can't start: {error}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_MISSING
    return 0


if __name__ == "__main__":
    sys.exit(main())
