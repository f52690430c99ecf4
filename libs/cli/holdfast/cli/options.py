"""The options that every command for a gateway takes, before or after its name."""

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from holdfast.cli.exits import bad_usage
from holdfast.cli.output import Output
from holdfast.client import Holdfast
from holdfast.client.holdfast import DEFAULT_URL

URL_VARIABLE = "HOLDFAST_URL"

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help=f"The gateway; several, separated by commas, stand in for each other. "
        f"[env: {URL_VARIABLE}; default: {DEFAULT_URL}]",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON, one value a line, for programs.")
]
SessionArgument = Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
AfterOption = Annotated[
    int, typer.Option("--after", min=0, metavar="N", help="Begin after event N (exclusive).")
]
TypesOption = Annotated[
    str,
    typer.Option(
        "--types",
        metavar="T,…",
        help="Only these types or families: 'message.*,run.failed'.",
    ),
]


@dataclass(frozen=True, slots=True)
class Common:
    """What was given before the command's name, or in the environment."""

    url: str = DEFAULT_URL
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """One command's gateways and output."""

    url: str
    output: Output

    def client(self) -> Holdfast:
        """Return a client of the gateways; a URL that can't be one ends the command."""
        urls = [url.strip() for url in self.url.split(",") if url.strip()]
        try:
            return Holdfast(urls)
        except ValueError as error:
            bad_usage(self.output, f"{error} (--url or {URL_VARIABLE})")


def caller(context: typer.Context, url: str | None, as_json: bool) -> Caller:
    """Put together what was given before and after the command's name; after wins."""
    given = context.obj if isinstance(context.obj, Common) else Common()
    common = replace(given, url=url or given.url, as_json=as_json or given.as_json)
    return Caller(common.url, Output(as_json=common.as_json))


def types_of(text: str) -> tuple[str, ...]:
    """Read the comma-separated types."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
