"""The worker as a process: `python -m holdfast.orchestrator`. Settings come from the environment, see `settings`.

Exit codes: 0 after SIGTERM or SIGINT, 1 when something it needs is not there or it broke, 2 when it was told wrongly,
70 when its event loop stood still for too long (see `holdfast.events.watchdog`), 75 when the database is not the log
any more that it had opened: started again, it goes on with the one that is there.

With HOLDFAST_PROCESSES above 1 it becomes the supervisor of so many workers, see `holdfast.processes`.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

import structlog
import uvloop
from pydantic import ValidationError

from holdfast.events.errors import HoldfastError, LogChanged
from holdfast.events.logs import configure_logging
from holdfast.orchestrator.app import serve
from holdfast.orchestrator.settings import OrchestratorSettings
from holdfast.processes.become import become
from holdfast.processes.link import Link

EXIT_MISSING = 1
EXIT_BROKEN = 1
EXIT_USAGE = 2
EXIT_LOG_CHANGED = 75  # EX_TEMPFAIL of sysexits.h: try again

# A workflow that heeds no cancellation, or a thread that it blocks, may keep a process for ever. What has to be said
# is said by then: the drain is over, and leases run out by themselves.
LEAVE_S = 5.0

# The last words must not keep the process: whoever reads its output may be what it hangs on.
LAST_WORDS_S = 1.0

log = structlog.get_logger("holdfast.orchestrator")


class _Leaving:
    """Ends the process when it doesn't end by itself in time."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def within(self, seconds: float, code: int) -> None:
        """Leave with `code` after so many seconds, instead of what was said before."""
        self.cancel()
        self._timer = threading.Timer(seconds, _leave, [code])
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Stay."""
        if self._timer is not None:
            self._timer.cancel()


def _leave(code: int) -> None:
    last_words = threading.Thread(target=_last_words, daemon=True)
    last_words.start()
    last_words.join(LAST_WORDS_S)
    os._exit(code)


def _last_words() -> None:
    log.warning("worker.left-behind", threads=[thread.name for thread in threading.enumerate()])
    sys.stdout.flush()
    sys.stderr.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker until it is told to stop; return the exit code."""
    link = Link.of_environment()
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
    if settings.processes > 1 and link is None:
        _become_several(settings)
    configure_logging(settings.log_level.lower(), console=settings.log_format.lower() == "console")
    return _run(settings, link)


def _become_several(settings: OrchestratorSettings) -> NoReturn:
    named = "worker_name" in settings.model_fields_set
    port = settings.ops_port
    host = f"[{settings.ops_host}]" if ":" in settings.ops_host else settings.ops_host
    become(
        "orchestrator",
        settings.processes,
        [sys.executable, "-m", "holdfast.orchestrator"],
        {},
        {
            "ops": None if port is None else f"{host}:{port}",
            # A name is in leases: two workers must not have the same one.
            "called": "HOLDFAST_WORKER_NAME" if named else None,
            "called-after": settings.worker_name if named else None,
            "patience": settings.drain_s + 2 * LEAVE_S,
            "log-level": settings.log_level.lower(),
            "log-format": settings.log_format.lower(),
        },
    )


def _run(settings: OrchestratorSettings, link: Link | None) -> int:
    leaving, started = _Leaving(), threading.Event()
    code = EXIT_MISSING
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(
                    serve(
                        settings,
                        link=link,
                        on_started=started.set,
                        on_draining=lambda: leaving.within(settings.drain_s + LEAVE_S, 0),
                    )
                )
                code = 0
            except asyncio.CancelledError:
                code = EXIT_BROKEN  # a second signal
            except LogChanged as error:
                print(f"the worker ends: {error}", file=sys.stderr)  # noqa: T201 - as above
                code = EXIT_LOG_CHANGED
            except Exception as error:
                if not started.is_set() and isinstance(error, HoldfastError | OSError | ValueError):
                    print(f"the worker can't start: {error}", file=sys.stderr)  # noqa: T201 - as above
                else:
                    log.exception("worker.broke")
                    print(f"the worker broke: {error}", file=sys.stderr)  # noqa: T201 - as above
                    code = EXIT_BROKEN
            finally:
                # Closing waits for every task, and for every thread that they use.
                leaving.within(LEAVE_S, code)
    finally:
        leaving.cancel()
    return code


if __name__ == "__main__":
    code = main()
    # Threads that workflows began may still run.
    _Leaving().within(LEAVE_S, code)
    sys.exit(code)
