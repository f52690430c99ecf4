"""The gateway as a process: `python -m holdfast.gateway`. Settings come from the environment, see `settings`.

Exit codes: 0 after SIGTERM or SIGINT, 1 when something it needs is not there, 2 when it was told wrongly,
70 when its event loop stood still for too long (see `holdfast.events.watchdog`), 75 when the database is not the log
any more that it had opened: started again, it serves the one that is there.

With --processes it becomes the supervisor of so many gateways at one port, see `holdfast.processes`.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NoReturn

from fastapi import FastAPI

from holdfast.events.errors import HoldfastError
from holdfast.events.logs import configure_logging
from holdfast.events.watchdog import Watchdog
from holdfast.gateway import collector
from holdfast.gateway.app import Backends, build, open_backends
from holdfast.gateway.server import GRACE_S, GatewayServer, loop_factory, server_config
from holdfast.gateway.settings import ENV_PREFIX, Settings, SettingsError, load_settings
from holdfast.processes.become import become
from holdfast.processes.link import Link

EXIT_MISSING = 1
EXIT_USAGE = 2
EXIT_LOG_CHANGED = 75  # EX_TEMPFAIL of sysexits.h: try again

# Beside the drain and the grace, for closing pools: what takes longer hangs.
CLOSE_S = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the gateway until it is told to stop; return the exit code."""
    link = Link.of_environment()
    given = _given(argv)
    try:
        settings = load_settings(**given)
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201 - said to the person who starts it
        return EXIT_USAGE
    if settings.processes > 1 and link is None:
        _become_several(settings, given)
    configure_logging(settings.log_level, console=settings.log_format == "console")
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(serve(settings, link))
    except HoldfastError as error:
        print(f"the gateway can't start: {error}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_MISSING


async def serve(settings: Settings, link: Link | None = None) -> int:
    """Open what the gateway stands on, serve until a signal, drain, and close everything."""
    with Watchdog(settings.watchdog_s):
        changed = asyncio.Event()
        async with open_backends(settings, on_changed=lambda _: changed.set()) as backends:
            return await serve_with(settings, backends, changed, link)


async def serve_with(
    settings: Settings, backends: Backends, changed: asyncio.Event, link: Link | None = None
) -> int:
    """Serve over backends that are open already, until a signal, or until it shows that the log has `changed`.

    One of several processes serves at the socket of its `link`, and ends when its supervisor says so.
    """
    app = build(settings, lambda: nullcontext(backends))
    collector.settle()
    if link is None:
        server = GatewayServer(server_config(settings, app), lambda: app.state.gateway)
        sockets = None
    else:
        app.state.link = link
        server = _one_of_several(settings, app, link)
        sockets = None if link.listener is None else [link.listener]

    async def drain_when_changed() -> None:
        await changed.wait()
        server.should_exit = True

    watching = asyncio.create_task(drain_when_changed(), name="log-changed")
    try:
        await server.serve(sockets)
    finally:
        watching.cancel()
    if changed.is_set():
        return EXIT_LOG_CHANGED
    return 0 if server.started else EXIT_MISSING


def _one_of_several(settings: Settings, app: FastAPI, link: Link) -> GatewayServer:
    def drain() -> None:
        server.should_exit = True  # looked at every 0.1 s

    def started() -> None:
        metrics = app.state.gateway.metrics
        link.serve(metrics=metrics.exposition, drain=drain, leave=server.leave)

    server = GatewayServer(
        server_config(settings, app),
        lambda: app.state.gateway,
        on_started=started,
        on_draining=link.draining,
    )
    return server


def _become_several(settings: Settings, given: Mapping[str, Any]) -> NoReturn:
    host = f"[{settings.host}]" if ":" in settings.host.strip("[]") else settings.host
    become(
        "gateway",
        settings.processes,
        [sys.executable, "-m", "holdfast.gateway"],
        # They read no command line but ours.
        {ENV_PREFIX + name.upper(): str(value) for name, value in given.items()},
        {
            "listen": f"{host}:{settings.port}",
            "patience": settings.drain_s + GRACE_S + CLOSE_S,
            "log-level": settings.log_level,
            "log-format": settings.log_format,
        },
    )


def _given(argv: Sequence[str] | None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m holdfast.gateway", description=__doc__)
    parser.add_argument("--host", help="the address to listen on")
    parser.add_argument("--port", type=int, help="the port; 0 takes a free one")
    parser.add_argument("--processes", type=int, help="how many gateways share the port")
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
