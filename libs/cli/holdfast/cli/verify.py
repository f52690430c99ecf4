"""The command that proves a deployment: load, cuts, and everything that was seen held against the log."""

import asyncio
import re
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from holdfast.cli import exits
from holdfast.cli.exits import Exit, bad_usage
from holdfast.cli.options import JsonOption, caller
from holdfast.cli.output import Output

if TYPE_CHECKING:
    from holdfast.verify.report import Report
    from holdfast.verify.verification import Progress as Progressed
    from holdfast.verify.verification import Verification

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")

# How a shell is told of a signal.
_SIGNALLED = 128
# Loops of Windows take no handlers of signals: there Ctrl-C cancels at once.
_STOPS = () if sys.platform == "win32" else (signal.SIGINT, signal.SIGTERM)
_STOPPED = "stopped; the sessions are erased and their runs cancelled"

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def verify(
    context: typer.Context,
    url: Annotated[
        list[str] | None,
        typer.Option("--url", metavar="URL", help="A gateway; repeatable: clients alternate."),
    ] = None,
    duration: Annotated[
        str, typer.Option("--duration", metavar="TIME", help="How long runs are started: 30s, 5m.")
    ] = "30s",
    clients: Annotated[int, typer.Option("--clients", help="How many follow the sessions.")] = 20,
    churn: Annotated[
        float,
        typer.Option(
            "--churn", help="Cuts per second that a client is connected; 0.5: every 2 s on average."
        ),
    ] = 0.5,
    workflow: Annotated[str, typer.Option("--workflow", help="What is run.")] = "ticker",
    input_: Annotated[
        str | None, typer.Option("--input", metavar="JSON", help="Its input.")
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option("--database-url", help="Also hold against Postgres: epochs, keys, commands."),
    ] = None,
    redis_url: Annotated[
        str | None, typer.Option("--redis-url", help="Also hold the windows in Redis against it.")
    ] = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Nobody else is here: also judge the gateways' gauges.")
    ] = False,
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            metavar="'NAME: VALUE'",
            help="Sent with every request, such as credentials; repeatable.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Choose as an earlier verification did.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove a running deployment: start runs, cut clients off, and check that nothing is lost,
    repeated, reordered or left hanging. Uses sessions of its own and erases them.

    \b
    Examples:
      holdfast verify --duration 10s
      holdfast verify --url http://a:8000 --url http://b:8000 --clients 100 --churn 1
      holdfast verify --url https://a --header "Authorization: Bearer $TOKEN"

    Ctrl-C and SIGTERM stop it: it ends its runs, reports on what it has seen so far and erases its
    sessions. A second one leaves the report out, a third one leaves the sessions as they are.

    Exit status: 0 all kept; 1 something is broken, with a witness; 2 bad usage; 3 no gateway;
    130 or 143 stopped by SIGINT or SIGTERM.
    """
    my = caller(context, ",".join(url) if url else None, as_json)
    with _installed(my.output):
        from holdfast.verify.plan import Plan
        from holdfast.verify.verification import Stopped, Verification
    given: dict[str, Any] = {} if seed is None else {"seed": seed}
    my.client()  # a URL that can't be one ends the command here
    try:
        plan = Plan(
            urls=tuple(one.strip().rstrip("/") for one in my.url.split(",") if one.strip()),
            duration_s=seconds(duration),
            clients=clients,
            churn=churn,
            workflow=workflow,
            input=None if input_ is None else orjson.loads(input_),
            database_url=database_url,
            redis_url=redis_url,
            alone=alone,
            headers=headers_of(header or []),
            **given,
        )
    except ValueError as error:
        bad_usage(my.output, str(error))
    with _progress() as tell:
        verification = Verification(plan, tell)
        signals: list[signal.Signals] = []
        try:
            report = exits.run(
                my.output,
                _stoppable(verification, signals),
                interrupted=lambda: _STOPPED,
            )
        except (Stopped, typer.Exit) as error:
            if not signals:
                raise
            if isinstance(error, Stopped):
                my.output.notice(f"{error}; {_STOPPED}")
            raise typer.Exit(_SIGNALLED + signals[0]) from None
    _show(my.output, report)
    if signals:
        my.output.notice(f"{signals[0].name}: {_STOPPED}")
        raise typer.Exit(_SIGNALLED + signals[0])
    if not report.ok:
        raise typer.Exit(int(Exit.FAILED))


async def _stoppable(verification: "Verification", signals: "list[signal.Signals]") -> "Report":
    """Run a verification; the first signal stops it, the second cancels it. `signals` is what came."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def stop(number: signal.Signals) -> None:
        signals.append(number)
        if len(signals) == 1:
            verification.stop(number.name)
            return
        task.cancel()
        for other in _STOPS:
            # The next one ends it where it is.
            loop.remove_signal_handler(other)
            signal.signal(other, signal.default_int_handler)

    for number in _STOPS:
        loop.add_signal_handler(number, stop, number)
    try:
        return await verification.run()
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for number in _STOPS:
            loop.remove_signal_handler(number)


def headers_of(lines: Sequence[str]) -> dict[str, str]:
    """Return the headers of lines such as 'Name: value'. Raises ValueError."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            # Not shown whole: it may be a secret that somebody forgot to name.
            raise ValueError("--header takes 'Name: value'")
        headers[name.strip()] = value.strip()
    return headers


def seconds(text: str) -> float:
    """Return how many seconds `text` is: 30, 30s, 1.5m. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration, such as 30s, 5m or 1h")
    return float(match[1]) * _UNITS[match[2] or "s"]


def _show(output: Output, report: "Report") -> None:
    if output.as_json:
        output.json(report.plain())
        return
    output.table(["what", "how much"], [list(row) for row in report.rows()])
    for note in report.notes:
        output.notice(note)
    output.line(f"held against: {', '.join(report.checked)}; seed {report.seed}")
    output.line("latency is from the workers' clock to this machine's: skew between them is in it")
    for violation in report.violations:
        output.line("")
        output.line(violation.text(), "red")
    if report.ok:
        output.line("every promise that was looked at was kept", "green")


@contextmanager
def _progress() -> Generator[Callable[["Progressed"], None]]:
    """Show a bar on a terminal's stderr, and nothing on a pipe."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(progress: "Progressed") -> None:
            bar.update(
                task,
                description=f"{progress.phase}, {progress.delivered:,} frames",
                total=progress.total_s,
                completed=min(progress.elapsed_s, progress.total_s),
            )

        yield tell


@contextmanager
def _installed(output: Output) -> Generator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        bad_usage(output, f"{error.name} is not installed: pip install 'holdfast[client]'")
