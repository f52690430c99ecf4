"""The `holdfast` command: what it offers, and how it starts and ends."""

import io
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from holdfast.cli import (
    database,
    doctor,
    runs,
    services,
    sessions,
    streams,
    subscriptions,
    verify,
    workflows,
)
from holdfast.cli.exits import Exit, close_pipe
from holdfast.cli.options import URL_VARIABLE, Common, UrlOption
from holdfast.client.holdfast import DEFAULT_URL

app = typer.Typer(
    name="holdfast",
    no_args_is_help=True,
    rich_markup_mode=None,  # boxes and colours in help and errors would reach pipes and logs
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# In the order of the help: run it, use it, look after it.
for command, short in (
    (services.dev, "Run all of Holdfast on this machine."),
    (runs.run, "Ask for a run, and follow it."),
    (streams.tail, "Show a session's events as they come."),
    (streams.replay, "Show a session's past at its own pace."),
    (runs.answer, "Answer what a run waits for."),
    (runs.steer, "Tell a run something it did not ask for."),
    (runs.cancel, "Ask for the end of a run."),
    (sessions.sessions, "List sessions."),
    (sessions.messages, "Show a session's messages."),
    (sessions.state, "Show a session's state, now or then."),
    (sessions.erase, "Delete a session's events for good."),
    (workflows.workflows, "List what can be run."),
    (services.gateway, "Run one gateway."),
    (services.orchestrator, "Run one worker."),
    (services.subscribe, "Run durable subscriptions."),
    (database.migrate, "Bring the database to this schema."),
    (database.schema, "Print the events' JSON Schema."),
    (doctor.doctor, "Check everything, and say what to do."),
    (verify.verify, "Prove that a deployment keeps its promises."),
):
    app.command(short_help=short)(command)
app.add_typer(subscriptions.app)


def _version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"holdfast {version('holdfast')}")
        except PackageNotFoundError:
            typer.echo("holdfast, not installed")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    url: UrlOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Event-sourced agent runs: ask for them, follow them, look after them.

    \b
    Example:
      holdfast dev                                          in one terminal
      holdfast run ticker --input '{"events": 3}' --follow   in another

    Exit status: 0 done; 1 the run failed or was cancelled; 2 bad usage or refused; 3 no gateway.
    """
    context.obj = Common(url or os.environ.get(URL_VARIABLE) or DEFAULT_URL, as_json)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that can't show a character gets it escaped rather than a traceback.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        close_pipe()
        sys.exit(Exit.PIPE_CLOSED)
