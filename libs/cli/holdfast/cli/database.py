"""Commands about what the log and the events look like: the schema in Postgres, and the events'
JSON Schema.
"""

from typing import Annotated

import orjson
import typer

from holdfast.cli import exits
from holdfast.cli.exits import Exit, bad_usage
from holdfast.cli.options import JsonOption
from holdfast.cli.output import Output

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        envvar="HOLDFAST_DATABASE_URL",
        show_envvar=True,
        help="postgresql://user:password@host:5432/name",
    ),
]


def migrate(
    database_url: DatabaseOption = None,
    status: Annotated[
        bool, typer.Option("--status", help="Only tell; exit 1 if something is missing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the database to the schema of this version. Safe to run again, and by many at once.

    \b
    Examples:
      holdfast migrate --database-url postgresql://holdfast@db/holdfast
      holdfast migrate --status
    """
    from holdfast.events import (
        migrate as migrations,  # asyncpg takes 0.1 s that no other command needs
    )

    output = Output(as_json=as_json)
    if not database_url:
        bad_usage(output, "which database? Set HOLDFAST_DATABASE_URL or say --database-url")
    if not status:
        applied = exits.run(output, migrations.migrate(database_url))
        if as_json:
            output.json({"applied": applied})
        else:
            output.line("\n".join(f"applied {name}" for name in applied) or "up to date")
        return
    known = exits.run(output, migrations.status(database_url))
    if as_json:
        output.json(known)
    else:
        output.table(
            ["migration", "status"],
            [[name, "applied" if there else "missing"] for name, there in known.items()],
        )
    if not all(known.values()):
        raise typer.Exit(int(Exit.FAILED))


def schema(as_json: JsonOption = False) -> None:
    """Print the JSON Schema of every event type.

    \b
    Example:
      holdfast schema > events.schema.json
    """
    from holdfast.events.schema import export_schema

    exported = export_schema()
    body = exported if isinstance(exported, str) else orjson.dumps(exported).decode()
    Output(as_json=as_json).json(orjson.loads(body))
