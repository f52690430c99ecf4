"""Commands that run Holdfast itself: all of it on one machine, a gateway, a worker.

Their modules are imported when called: who only follows a session needs none of their dependencies.
"""

import asyncio
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from holdfast.cli.exits import Exit, bad_usage
from holdfast.cli.output import Output

UnsafeDevOption = Annotated[
    bool,
    typer.Option("--unsafe-dev", help="Accept a Postgres that may lose what it confirmed."),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option("--processes", min=1, max=64, help="How many, under one supervisor."),
]
HostOption = Annotated[str | None, typer.Option("--host", help="The address to listen on.")]


def dev(
    app_modules: Annotated[
        list[str] | None,
        typer.Argument(metavar="[APP_MODULES]...", help="Modules or files with your workflows."),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Of the first gateway; 0: a free one.")
    ] = 8000,
    orchestrators: Annotated[
        int, typer.Option("--orchestrators", min=0, max=64, help="How many workers.")
    ] = 1,
    gateways: Annotated[
        int, typer.Option("--gateways", min=0, max=64, help="How many gateways, on ports in a row.")
    ] = 1,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="Where data, logs and the list of processes are.")
    ] = Path(".holdfast"),
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Leave what services print to their log files.")
    ] = False,
) -> None:
    """Run all of Holdfast on this machine: Redis, Postgres, workers and gateways, until Ctrl-C.

    Your workflows run beside the samples, `team` and `ticker`.

    \b
    Examples:
      holdfast dev
      holdfast dev my_workflows.py --gateways 2 --orchestrators 2
    """
    output = Output()
    supervisor = _module(output, "holdfast.local.supervisor", extra="local")
    options = _module(output, "holdfast.local.options", extra="local")
    chosen = options.DevOptions(
        app=_workflows(output, app_modules or ()),
        port=port,
        orchestrators=orchestrators,
        gateways=gateways,
        data_dir=data_dir,
        quiet=quiet,
    )
    try:
        status: int = asyncio.run(supervisor.run_dev(chosen, on_line=_say))
    except KeyboardInterrupt:
        # Before the supervisor took the signal over: nothing had been started.
        status = Exit.INTERRUPTED
    raise typer.Exit(status)


def gateway(
    host: HostOption = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="The port; 0: a free one.")
    ] = None,
    i_know_there_is_no_auth: Annotated[
        bool,
        typer.Option(
            "--i-know-there-is-no-auth", help="Allow an address that other machines can reach."
        ),
    ] = False,
    processes: ProcessesOption = None,
    unsafe_dev: UnsafeDevOption = False,
) -> None:
    """Run a gateway; HOLDFAST_DATABASE_URL and HOLDFAST_REDIS_URL say where the log is.

    With --processes several share the port: one for each core that it may use.

    \b
    Examples:
      holdfast gateway --host 127.0.0.1 --port 8001
      holdfast gateway --processes 4
    """
    environment = {
        "HOLDFAST_HOST": host,
        "HOLDFAST_PORT": None if port is None else str(port),
        "HOLDFAST_PROCESSES": None if processes is None else str(processes),
    }
    if i_know_there_is_no_auth:
        environment["HOLDFAST_I_KNOW_THERE_IS_NO_AUTH"] = "1"
    _serve("holdfast.gateway.__main__", environment, extra="gateway", unsafe_dev=unsafe_dev)


def orchestrator(
    workflows: Annotated[
        list[str] | None,
        typer.Option("--workflows", metavar="MODULE", help="A module of workflows; repeatable."),
    ] = None,
    processes: ProcessesOption = None,
    unsafe_dev: UnsafeDevOption = False,
) -> None:
    """Run a worker; HOLDFAST_DATABASE_URL and HOLDFAST_REDIS_URL say where the log is.

    With --processes several are looked after together: one for each core that it may use.

    \b
    Examples:
      holdfast orchestrator --workflows my_company.workflows
      holdfast orchestrator --processes 4
    """
    environment = {
        "HOLDFAST_WORKFLOWS": ",".join(workflows) if workflows else None,
        "HOLDFAST_PROCESSES": None if processes is None else str(processes),
    }
    _serve(
        "holdfast.orchestrator.__main__", environment, extra="orchestrator", unsafe_dev=unsafe_dev
    )


def subscribe(
    modules: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODULES]...", help="Modules or files that declare subscribers."),
    ] = None,
) -> None:
    """Run durable subscriptions and projections; HOLDFAST_DATABASE_URL says where the log is.

    Run as many of these as you like: each subscription has one holder, the others stand by.
    Installed packages add theirs by entry points, `holdfast.subscribers`.

    \b
    Examples:
      holdfast subscribe my_company.subscribers
      holdfast subscribe holdfast.subscribe.run_statistics
    """
    environment = {"HOLDFAST_SUBSCRIBERS": ",".join(modules) if modules else None}
    _serve("holdfast.subscribe.__main__", environment, extra="subscribe")


def _workflows(output: Output, given: Sequence[str]) -> tuple[str, ...]:
    """Return what to load for `dev`: these, then the samples; nothing leaves it to the environment.

    The samples come last: an application's own workflow called `team` is the one that runs.
    """
    if not given:
        return ()
    for word in given:
        if "," in word:
            bad_usage(output, f"{word!r}: modules and files are given one by one, without a comma")
        if word.endswith(".py") and not Path(word).is_file():
            bad_usage(output, f"there is no file {word}")
    # The workers may not share our directory; a name with a comma would be two to them.
    words = [str(Path(w).absolute()) if w.endswith(".py") else w for w in given]
    if odd := [word for word in words if "," in word]:
        bad_usage(output, f"{odd[0]!r}: the workers cannot be told a path with a comma")
    settings = _module(output, "holdfast.orchestrator.settings", extra="orchestrator")
    return (*words, *settings.SAMPLES)


def _serve(
    name: str, environment: Mapping[str, str | None], *, extra: str, unsafe_dev: bool = False
) -> None:
    service = _module(Output(), name, extra=extra)
    if unsafe_dev:
        os.environ["HOLDFAST_UNSAFE_DEV"] = "1"
    os.environ.update({key: value for key, value in environment.items() if value is not None})
    # The service reads its own command line, and ours isn't its.
    sys.argv = [f"holdfast {extra}"]
    raise typer.Exit(service.main() or 0)


def _module(output: Output, name: str, *, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        bad_usage(output, f"{error.name} is not installed: pip install 'holdfast[{extra}]'")


def _say(line: str) -> None:
    print(line, flush=True)
