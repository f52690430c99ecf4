"""A subscriber process: `python -m holdfast.subscribe`, or `holdfast subscribe`.

Runs the durable subscriptions and projections that modules declare: those of HOLDFAST_SUBSCRIBERS (modules or files,
separated by commas) and those of installed packages (entry points `holdfast.subscribers`). Any number of processes may
run the same ones: each subscription has one holder, the others stand by. All settings come from the environment, see
`settings`.

Exit codes: 0 after SIGTERM or SIGINT, 1 when something it needs is not there or it broke, 2 when it was told wrongly,
70 when its event loop stood still for too long.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Sequence

import structlog
import uvloop
from pydantic import ValidationError

from holdfast.events.errors import HoldfastError
from holdfast.events.logs import configure_logging
from holdfast.subscribe.app import LEAVE_S, NothingDeclared, leave_after, serve
from holdfast.subscribe.declared import Declared
from holdfast.subscribe.settings import SubscriberSettings

EXIT_BROKEN = 1
EXIT_USAGE = 2
EXIT_NOTHING = 3  # of `--list`

log = structlog.get_logger("holdfast.subscribe")


def main(argv: Sequence[str] | None = None) -> int:
    """Run subscriptions until told to stop; return the exit code."""
    given = sys.argv[1:] if argv is None else argv
    if list(given) == ["--list"]:
        # For whoever decides whether such a process is worth starting: names of what is durable, one a line. The exit
        # code says whether there are some, as the modules may print what they like.
        return _list()
    if given:
        wanted = {"-h", "--help"} & set(given)
        print(__doc__ if wanted else f"unexpected argument {given[0]!r}", file=sys.stderr)  # noqa: T201
        return 0 if wanted else EXIT_USAGE
    try:
        settings = SubscriberSettings()  # pyright: ignore[reportCallIssue] - filled from the environment
    except ValidationError as error:
        for problem in error.errors():
            name = f"HOLDFAST_{problem['loc'][0]}".upper() if problem["loc"] else "settings"
            print(f"{name}: {problem['msg']}", file=sys.stderr)  # noqa: T201 - said to who starts it
        return EXIT_USAGE
    configure_logging(settings.log_level.lower(), console=settings.log_format.lower() == "console")
    return _run(settings)


def _list() -> int:
    declared = Declared()
    declared.load([word for word in os.environ.get("HOLDFAST_SUBSCRIBERS", "").split(",") if word])
    declared.load_plugins()
    for name in declared.names:
        print(name)  # noqa: T201 - what was asked for
    return 0 if declared.names else EXIT_NOTHING


def _run(settings: SubscriberSettings) -> int:
    started, code = threading.Event(), 0
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(serve(settings, on_started=started.set))
            except asyncio.CancelledError:
                code = EXIT_BROKEN  # a second signal
            except Exception as error:
                code = EXIT_USAGE if isinstance(error, NothingDeclared) else EXIT_BROKEN
                if started.is_set() or not isinstance(error, HoldfastError | OSError | ValueError):
                    log.exception("subscriber.broke")
                print(f"the subscriber ended: {error}", file=sys.stderr)  # noqa: T201 - as above
            finally:
                leave_after(LEAVE_S, code)
    finally:
        sys.stdout.flush()
    return code


if __name__ == "__main__":
    code = main()
    # Threads that handlers began may run on; all that counts is saved.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
