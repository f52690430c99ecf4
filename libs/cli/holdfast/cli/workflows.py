"""The command that lists what can be run."""

from typing import Any

import typer

from holdfast.cli import exits
from holdfast.cli.options import JsonOption, UrlOption, caller
from holdfast.cli.text import one_line


def workflows(context: typer.Context, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """List the workflows that workers know, and those that failed to load.

    \b
    Example:
      holdfast workflows
    """
    my = caller(context, url, as_json)

    async def work() -> list[dict[str, Any]]:
        async with my.client() as client:
            return await client.workflows()

    items = exits.run(my.output, work())
    if my.output.as_json:
        for item in items:
            my.output.json(item)
        return
    rows = [[i.get("name"), i.get("version"), _workers(i), _about(i)] for i in items]
    my.output.table(["workflow", "version", "workers", "about"], [list(row) for row in rows])


def _workers(item: dict[str, Any]) -> str:
    workers = item.get("workers")
    return str(len(workers) if isinstance(workers, list) else workers or 0)


def _about(item: dict[str, Any]) -> str:
    if error := item.get("load_error"):
        return f"failed to load: {one_line(error)}"
    return one_line(item.get("description") or "")
