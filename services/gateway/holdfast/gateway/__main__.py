"""The gateway as a process: `python -m holdfast.gateway`. Settings come from the environment, see `settings`.

Exit codes: 0 after SIGTERM or SIGINT, 1 when something it needs is not there, 2 when it was told wrongly,
70 when its event loop stood still for too long (see `holdfast.events.watchdog`), 75 when the database is not the log
any more that it had opened: started again, it serves the one that is there.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from holdfast.events.errors import HoldfastError
from holdfast.events.logs import configure_logging
from holdfast.events.watchdog import Watchdog
from holdfast.gateway.app import Backends, build, open_backends
from holdfast.gateway.server import GatewayServer, loop_factory, server_config
from holdfast.gateway.settings import Settings, SettingsError, load_settings

EXIT_MISSING = 1
EXIT_USAGE = 2
EXIT_LOG_CHANGED = 75  # EX_TEMPFAIL of sysexits.h: try again


def main(argv: Sequence[str] | None = None) -> int:
    """Run the gateway until it is told to stop; return the exit code."""
    try:
        settings = load_settings(**_given(argv))
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201 - said to the person who starts it
        return EXIT_USAGE
    configure_logging(settings.log_level, console=settings.log_format == "console")
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(serve(settings))
    except HoldfastError as error:
        print(f"the gateway can't start: {error}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_MISSING


async def serve(settings: Settings) -> int:
    """Open what the gateway stands on, serve until a signal, drain, and close everything."""
    with Watchdog(settings.watchdog_s):
        changed = asyncio.Event()
        async with open_backends(settings, on_changed=lambda _: changed.set()) as backends:
            return await serve_with(settings, backends, changed)


async def serve_with(settings: Settings, backends: Backends, changed: asyncio.Event) -> int:
    """Serve over backends that are open already, until a signal, or until it shows that the log has `changed`."""
    app = build(settings, lambda: nullcontext(backends))
    server = GatewayServer(server_config(settings, app), lambda: app.state.gateway)

    async def drain_when_changed() -> None:
        await changed.wait()
        server.should_exit = True

    watching = asyncio.create_task(drain_when_changed(), name="log-changed")
    try:
        await server.serve()
    finally:
        watching.cancel()
    if changed.is_set():
        return EXIT_LOG_CHANGED
    return 0 if server.started else EXIT_MISSING


def _given(argv: Sequence[str] | None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m holdfast.gateway", description=__doc__)
    parser.add_argument("--host", help="the address to listen on")
    parser.add_argument("--port", type=int, help="the port; 0 takes a free one")
    parser.add_argument("--log-level", help="debug, info, warning or error")
    parser.add_argument("--log-format", help="json or console")
    parser.add_argument(
        "--i-know-there-is-no-auth",
        action="store_true",
        default=None,
        help="allow an address that other machines can reach",
    )
    parser.add_argument(
        "--unsafe-dev",
        action="store_true",
        default=None,
        help="accept a Postgres that may lose what it confirmed",
    )
    return {
        name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None
    }


if __name__ == "__main__":
    sys.exit(main())
