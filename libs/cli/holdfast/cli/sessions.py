"""Commands about sessions: which there are, what they hold, and erasing one."""

import sys
from typing import Annotated, Any

import typer

from holdfast.cli import exits
from holdfast.cli.exits import Exit, bad_usage
from holdfast.cli.options import JsonOption, SessionArgument, UrlOption, caller
from holdfast.cli.text import one_line


def sessions(
    context: typer.Context,
    status: Annotated[
        str | None, typer.Option("--status", help="Only these: active, expired or erased.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", help="Where the page before ended.")
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List sessions, newest first.

    \b
    Example:
      holdfast sessions --status active --limit 10
    """
    my = caller(context, url, as_json)

    async def work() -> dict[str, Any]:
        async with my.client() as client:
            return await client.sessions(status=status, limit=limit, cursor=cursor)

    page = exits.run(my.output, work())
    items: list[dict[str, Any]] = page.get("items") or []
    if my.output.as_json:
        for item in items:
            my.output.json(item)
    else:
        columns = ["session", "status", "head", "active run", "created"]
        fields = ("session_id", "status", "head", "active_run", "created_at")
        my.output.table(columns, [[_cell(item.get(f)) for f in fields] for item in items])
    if page.get("next_cursor"):
        my.output.notice(f"more with: holdfast sessions --cursor {page['next_cursor']}")


def state(
    context: typer.Context,
    session: SessionArgument,
    at: Annotated[
        int | None, typer.Option("--at", min=0, metavar="N", help="As it was at event N.")
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show SESSION's state, made of its events: messages, steps, tools, stage, progress, inputs.

    \b
    Example:
      holdfast state demo --at 41
    """
    my = caller(context, url, as_json)

    async def work() -> dict[str, Any]:
        async with my.client() as client:
            return await client.state(session, at=at)

    my.output.json(exits.run(my.output, work()))


def messages(
    context: typer.Context,
    session: SessionArgument,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show SESSION's messages, each once.

    \b
    Example:
      holdfast messages demo --json | jq -r .content
    """
    my = caller(context, url, as_json)

    async def work() -> list[dict[str, Any]]:
        async with my.client() as client:
            return await client.messages(session)

    for message in exits.run(my.output, work()):
        if my.output.as_json:
            my.output.json(message)
        else:
            my.output.piece(f"{one_line(message.get('agent') or message.get('role'))}: ", "bold")
            my.output.piece(f"{message.get('content') or ''}\n")


def erase(
    context: typer.Context,
    session: SessionArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete all of SESSION's events for good; only the fact that it was erased stays.

    \b
    Example:
      holdfast erase demo --yes
    """
    my = caller(context, url, as_json)
    if not yes:
        if not sys.stdin.isatty():
            bad_usage(my.output, "erasing can't be undone; say --yes")
        if not typer.confirm(f"Erase {one_line(session)} for good?"):
            raise typer.Exit(int(Exit.FAILED))

    async def work() -> None:
        async with my.client() as client:
            await client.erase(session)

    exits.run(my.output, work())
    if my.output.as_json:
        my.output.json({"session_id": session, "erase": "asked"})
    else:
        my.output.line(f"asked for the erasure of session {one_line(session)}")


def _cell(value: object) -> object:
    return "" if value is None else value
