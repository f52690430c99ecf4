"""Commands about runs: ask for one, end one, answer one."""

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from holdfast.cli import exits
from holdfast.cli.exits import Exit, bad_usage
from holdfast.cli.following import Following
from holdfast.cli.options import JsonOption, RunArgument, UrlOption, caller
from holdfast.cli.output import Output
from holdfast.client import Holdfast, ProblemError, Ticket
from holdfast.client.answers import OnBusy
from holdfast.events.recorded import RecordedEvent
from holdfast.events.slots import PRIORITY_MAX, PRIORITY_MIN

# What the gateway takes as a body, and more than anybody types.
INPUT_BYTES_MAX = 1024 * 1024


def run(
    context: typer.Context,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="The workflow's name.")],
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="JSON|@FILE|-",
            help="JSON, a file of it, or - for stdin. [default: {}]",
        ),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="S", help="A session, made if need be; else a new one."),
    ] = None,
    on_busy: Annotated[
        OnBusy | None,
        typer.Option("--on-busy", help="What to do while another run of the session is not over."),
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(
            "--priority",
            min=PRIORITY_MIN,
            max=PRIORITY_MAX,
            help="How important it is: a point is worth six seconds of waiting. [default: 0]",
        ),
    ] = None,
    timeout_s: Annotated[
        float | None,
        typer.Option(
            "--timeout", metavar="SECONDS", help="How long it may take from its start, at most."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show the run until it ends; exit 1 if it fails.")
    ] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for a run of WORKFLOW.

    \b
    Examples:
      holdfast run ticker --input '{"events": 3}' --follow
      echo '{"question": "why?"}' | holdfast run team --input - --session demo
    """
    my = caller(context, url, as_json)
    value = read_input(my.output, input)
    following: Following | None = None
    come_back = "the run goes on without us"

    async def work() -> RecordedEvent | None:
        nonlocal following, come_back
        async with my.client() as client:
            ask = partial(client.start, on_busy=on_busy, priority=priority, timeout_s=timeout_s)
            ticket = await _start(client, ask, workflow, value, session)
            if not follow:
                _show(my.output, ticket)
                return None
            my.output.notice(f"run {ticket.run_id} in session {ticket.session_id}")
            following = Following(my.output, after=ticket.after)
            come_back = f"holdfast tail {ticket.session_id}"
            events = client.follow_run(
                ticket.run_id, after=ticket.after, on_status=following.on_status
            )
            return await following.print_all(events)

    def where() -> str:
        if following is None:
            return come_back
        return f"the run goes on; come back with: {come_back} --after {following.cursor}"

    last = exits.run(my.output, work(), interrupted=where)
    if follow and (last is None or last.type != "run.completed"):
        raise typer.Exit(int(Exit.FAILED))


def cancel(
    context: typer.Context,
    run: RunArgument,
    reason: Annotated[str | None, typer.Option("--reason", help="Recorded with the end.")] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for the end of RUN.

    \b
    Example:
      holdfast cancel 0198c2 --reason "asked the wrong question"
    """
    my = caller(context, url, as_json)

    async def work() -> dict[str, Any]:
        async with my.client() as client:
            return await client.cancel(run, reason=reason)

    answer = exits.run(my.output, work())
    if my.output.as_json:
        my.output.json(answer)
    else:
        my.output.line(f"asked for the end of run {run}")


def answer(
    context: typer.Context,
    run: RunArgument,
    input_id: Annotated[str, typer.Argument(metavar="INPUT_ID", help="The request's id.")],
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="JSON; anything that isn't JSON is a text.")
    ],
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer what RUN waits for; the first answer counts.

    \b
    Examples:
      holdfast answer 0198c2 in_1 true
      holdfast answer 0198c2 in_1 "ship it on Friday"
    """
    my = caller(context, url, as_json)
    given = _json_or_text(value)

    async def work() -> dict[str, Any]:
        async with my.client() as client:
            return await client.answer(run, input_id, given)

    answered = exits.run(my.output, work())
    if my.output.as_json:
        my.output.json(answered)
    else:
        my.output.line(f"answered {input_id} of run {run}")


def steer(
    context: typer.Context,
    run: RunArgument,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="JSON; anything that isn't JSON is a text.")
    ],
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell RUN something that it did not ask for; its workflow sees it in the order of telling.

    \b
    Example:
      holdfast steer 0198c2 "shorter, please"
    """
    my = caller(context, url, as_json)

    async def work() -> dict[str, Any]:
        async with my.client() as client:
            return await client.steer(run, _json_or_text(value))

    steered = exits.run(my.output, work())
    if my.output.as_json:
        my.output.json(steered)
    else:
        my.output.line(f"told run {run}")


def _json_or_text(value: str) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def read_input(output: Output, text: str | None) -> Any:
    """Return the value that --input names; what can't be read ends the command."""
    if text is None:
        return {}  # inputs are objects, and many have defaults for every field
    where, raw = "--input", text.encode(errors="surrogateescape")
    if text == "-":
        where, raw = "stdin", sys.stdin.buffer.read(INPUT_BYTES_MAX + 1)
    elif text.startswith("@"):
        where = text[1:]
        try:
            with Path(where).open("rb") as file:
                raw = file.read(INPUT_BYTES_MAX + 1)
        except OSError as error:
            bad_usage(output, f"cannot read {where}: {error.strerror or error}")
    if len(raw) > INPUT_BYTES_MAX:
        bad_usage(output, f"{where} holds more than {INPUT_BYTES_MAX:,} bytes")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        bad_usage(output, f"{where} is not JSON: {error}")


async def _start(
    client: Holdfast,
    ask: Callable[[str, Any, str | None], Awaitable[Ticket]],
    workflow: str,
    value: Any,
    session: str | None,
) -> Ticket:
    """Ask for the run; a session that somebody named and nobody made is made first."""
    try:
        return await ask(workflow, value, session)
    except ProblemError as error:
        if error.code != "session-unknown" or session is None:
            raise
    try:
        await client.create_session(session)
    except ProblemError as error:
        if error.code != "session-exists":  # somebody else made it in between
            raise
    return await ask(workflow, value, session)


def _show(output: Output, ticket: Ticket) -> None:
    if output.as_json:
        value = {"run_id": ticket.run_id, "session_id": ticket.session_id, "after": ticket.after}
        output.json(value)
    else:
        output.line(f"run {ticket.run_id} in session {ticket.session_id}")
        output.notice(f"follow it with: holdfast tail {ticket.session_id} --after {ticket.after}")
