"""`python -m holdfast.processes --name gateway --count 4 --listen 127.0.0.1:8000 -- COMMAND…`: several of one command.

Services become this by themselves (`become`). Exit codes: 0 after SIGTERM or SIGINT and an orderly end, 1 when the port
can't be had or a process had to be killed, else the status of the process that could not be started.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from holdfast.events.logs import configure_logging
from holdfast.events.ops import OpsServer
from holdfast.processes.listeners import Listeners
from holdfast.processes.supervisor import EXIT_BROKEN, Group, Supervisor

# A page of an operator's probe waits for the processes' own answers, each of which has a second.
PAGE_S = 3.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the processes until told to stop; return the exit status."""
    given = _arguments(argv)
    configure_logging(given.log_level, console=given.log_format == "console")
    try:
        listeners = None
        if given.listen is not None:
            host, _, port = given.listen.rpartition(":")
            listeners = Listeners(host.strip("[]"), int(port), given.count)
    except OSError as error:
        print(f"{given.name}: can't listen at {given.listen}: {error}", file=sys.stderr)  # noqa: T201 - said to who starts it
        return EXIT_BROKEN
    own = {
        number: {given.called: f"{given.called_after}-{number}"}
        for number in range(1, given.count + 1)
        if given.called
    }
    group = Group(
        given.name, given.count, given.command, os.environ, patience_s=given.patience, own=own
    )
    return asyncio.run(_run(given.name, Supervisor(group, listeners), given.ops))


async def _run(name: str, supervisor: Supervisor, ops: str | None) -> int:
    if ops is None:
        return await supervisor.run()
    loop = asyncio.get_running_loop()
    host, _, port = ops.rpartition(":")

    def metrics() -> bytes:
        return asyncio.run_coroutine_threadsafe(supervisor.metrics(), loop).result(PAGE_S)

    try:
        server = OpsServer(
            host.strip("[]"),
            int(port),
            live=lambda: True,  # the processes are looked after by the supervisor itself
            ready=lambda: supervisor.ready,
            metrics=metrics,
        )
    except OSError as error:
        print(f"{name}: can't listen at {ops}: {error}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_BROKEN
    try:
        return await supervisor.run()
    finally:
        await asyncio.to_thread(server.close)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m holdfast.processes", description=__doc__)
    parser.add_argument("--name", required=True, help="how the service is called")
    parser.add_argument("--count", type=int, required=True, help="how many processes")
    parser.add_argument("--listen", metavar="HOST:PORT", help="one port for all of them")
    parser.add_argument("--ops", metavar="HOST:PORT", help="where /livez, /readyz and /metrics are")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds for an orderly end")
    parser.add_argument("--called", metavar="VARIABLE", help="what tells a process its name")
    parser.add_argument("--called-after", metavar="NAME", help="a name is this and a number")
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--log-format", default="json")
    parser.add_argument("command", nargs="+", help="what each process runs")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
