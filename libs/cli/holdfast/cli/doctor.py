"""The command that looks at everything and says what to do about it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import exits
from holdfast.cli.exits import Exit
from holdfast.cli.findings import Finding, Level, warn
from holdfast.cli.options import Caller, JsonOption, UrlOption, caller

_SIGNS = {
    Level.OK: ("ok  ", "green"),
    Level.WARN: ("warn", "yellow"),
    Level.FAIL: ("FAIL", "bold red"),
}


def doctor(
    context: typer.Context,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="Of a running `holdfast dev`, to find its servers.")
    ] = Path(".holdfast"),
    gateways: Annotated[
        int | None, typer.Option("--gateways", min=0, help="How many gateways there will be.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, help="How many workers there will be.")
    ] = None,
    subscribers: Annotated[
        int | None, typer.Option("--subscribers", min=0, help="How many subscribers there will be.")
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check this machine, Postgres, Redis and the gateway; exit 1 if something must be mended.

    \b
    Examples:
      holdfast doctor
      HOLDFAST_DATABASE_URL=postgresql://… holdfast doctor --gateways 8 --workers 4
    """
    my = caller(context, url, as_json)

    async def work() -> bool:
        healthy = True
        looked = _look(my, data_dir, gateways=gateways, workers=workers, subscribers=subscribers)
        async for finding in looked:
            healthy = healthy and finding.level is not Level.FAIL
            _show(my, finding)
        return healthy

    if not exits.run(my.output, work()):
        raise typer.Exit(int(Exit.FAILED))


async def _look(
    my: Caller,
    data_dir: Path,
    *,
    gateways: int | None,
    workers: int | None,
    subscribers: int | None,
) -> AsyncIterator[Finding]:
    from holdfast.cli import checks_gateway, checks_here, checks_postgres, checks_redis

    for finding in checks_here.check_python():
        yield finding
    found = checks_here.addresses(os.environ, data_dir)
    nobody = f"set {{}}, or name the --data-dir of a running `holdfast dev` (now {data_dir})"
    if found.database_url is None:
        do = nobody.format("HOLDFAST_DATABASE_URL")
        yield warn("postgres", "not checked: nobody says where it is", do)
    else:
        async for finding in checks_postgres.check_postgres(
            found.database_url,
            gateways=gateways if gateways is not None else max(1, found.gateways),
            workers=workers if workers is not None else max(1, found.orchestrators),
            subscribers=subscribers if subscribers is not None else max(1, found.subscribers),
        ):
            yield finding
    if found.redis_url is None:
        do = nobody.format("HOLDFAST_REDIS_URL")
        yield warn("redis", "not checked: nobody says where it is", do)
    else:
        async for finding in checks_redis.check_redis(found.redis_url):
            yield finding
    for gateway in my.url.split(","):
        async for finding in checks_gateway.check_gateway(gateway.strip()):
            yield finding


def _show(my: Caller, finding: Finding) -> None:
    if my.output.as_json:
        my.output.json(
            {
                "level": finding.level.value,
                "subject": finding.subject,
                "says": finding.says,
                "do": finding.do or None,
            }
        )
        return
    sign, style = _SIGNS[finding.level]
    my.output.piece(f"{sign}  ", style)
    my.output.piece(f"{finding.subject}: {finding.says}\n")
    if finding.do:
        my.output.line(f"      → {finding.do}")
