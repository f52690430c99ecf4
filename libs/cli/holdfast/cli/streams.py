"""Commands that show a session's events: as they happen, and as they happened."""

from collections.abc import Callable
from typing import Annotated

import typer

from holdfast.cli import exits
from holdfast.cli.following import Following
from holdfast.cli.options import (
    AfterOption,
    JsonOption,
    SessionArgument,
    TypesOption,
    UrlOption,
    caller,
    types_of,
)


def tail(
    context: typer.Context,
    session: SessionArgument,
    after: AfterOption = 0,
    types: TypesOption = "",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show SESSION's events after N, then what comes, until Ctrl-C or the session's end.

    Survives every disconnect: what was missed is shown first, nothing twice.

    \b
    Examples:
      holdfast tail demo
      holdfast tail demo --after 41 --types 'run.*' --json | jq .type
    """
    my = caller(context, url, as_json)
    following = Following(my.output, after=after)

    async def work() -> None:
        async with my.client() as client:
            events = client.follow(
                session, after=after, types=types_of(types), on_status=following.on_status
            )
            await following.print_all(events)

    exits.run(my.output, work(), interrupted=_come_back(f"holdfast tail {session}", following))


def replay(
    context: typer.Context,
    session: SessionArgument,
    after: AfterOption = 0,
    until: Annotated[
        int | None, typer.Option("--until", min=0, metavar="N", help="End with event N.")
    ] = None,
    speed: Annotated[
        float, typer.Option("--speed", min=0, help="Times the original pace; 0: without pauses.")
    ] = 1.0,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show SESSION's past again, at its own pace, up to N or to what is now its last event.

    \b
    Examples:
      holdfast replay demo --speed 4
      holdfast replay demo --after 10 --until 20 --speed 0 --json
    """
    my = caller(context, url, as_json)
    following = Following(my.output, after=after)

    async def work() -> None:
        async with my.client() as client:
            head = (await client.events(session, after=after, limit=1)).head
            end = head if until is None else min(until, head)
            events = client.replay(
                session, after=after, until=end, speed=speed, on_status=following.on_status
            )
            await following.print_all(events)

    exits.run(my.output, work(), interrupted=_come_back(f"holdfast replay {session}", following))


def _come_back(command: str, following: Following) -> Callable[[], str]:
    return lambda: f"come back with: {command} --after {following.cursor}"
