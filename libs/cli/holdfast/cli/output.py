"""Where a command writes: results to stdout, everything about them to stderr.

Colour only on a terminal, and not when NO_COLOR is set: a pipe gets plain text. Nothing ever moves
the cursor. Text is written as it is, by itself: rich's console would turn tabs into spaces and end
the process when a pipe closes; it lays out tables.
"""

import os
import sys
from typing import Any, TextIO

import orjson
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from holdfast.cli.text import escaped_json, inert, one_line

# A sentence on stderr: long enough for a refusal with its fields, short enough to be read.
SENTENCE_LENGTH_MAX = 1000


class Output:
    """The two streams of one command. Whatever goes through it is inert when a terminal gets it."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._line_open = False

    def piece(self, text: str, style: str = "") -> None:
        """Write text that goes on where the last piece ended, at once."""
        text = inert(text)
        if text:
            _write(sys.stdout, text, style)
            self._line_open = not text.endswith("\n")

    def line(self, text: str, style: str = "") -> None:
        """Write a line of its own, whatever was open before."""
        self.end_line()
        self.piece(text + "\n", style)

    def end_line(self) -> None:
        """End the line that a piece left open."""
        if self._line_open:
            self.piece("\n")

    def json_line(self, body: bytes) -> None:
        """Write a line of JSON: these bytes for a pipe; for a terminal, what means the same."""
        if sys.stdout.isatty():
            body = escaped_json(body.decode(errors="replace")).encode()
        sys.stdout.flush()
        sys.stdout.buffer.write(body + b"\n")
        sys.stdout.buffer.flush()

    def json(self, value: Any) -> None:
        """Write a value: as one line with --json, else indented for people."""
        if self.as_json:
            self.json_line(orjson.dumps(value))
        else:
            self.line(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())

    def table(self, columns: list[str], rows: list[list[object]]) -> None:
        """Write a table; on a pipe, its cells separated by tabs, without the heading."""
        if not sys.stdout.isatty():
            for row in rows:
                self.line("\t".join(one_line(cell) for cell in row))
            return
        colours = None if _is_plain(sys.stdout) else "auto"
        console = Console(color_system=colours, highlight=False, markup=False, emoji=False)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))
        console.print(table)

    def notice(self, text: str) -> None:
        """Tell a person something on stderr; results are never among it."""
        self._tell(f"holdfast: {text}", "dim")

    def complain(self, text: str) -> None:
        """Say on stderr why nothing came of it, in one sentence."""
        self._tell(f"error: {text}", "red")

    def _tell(self, text: str, style: str) -> None:
        self.end_line()
        _write(sys.stderr, one_line(text, length=SENTENCE_LENGTH_MAX), style)
        _write(sys.stderr, "\n")


def _is_plain(stream: TextIO) -> bool:
    # An empty NO_COLOR counts as unset (no-color.org).
    return bool(os.environ.get("NO_COLOR")) or not stream.isatty()


def _write(stream: TextIO, text: str, style: str = "") -> None:
    if style and not _is_plain(stream):
        # The sixteen colours that a terminal's theme has chosen to be readable.
        text = Style.parse(style).render(text, color_system=ColorSystem.STANDARD)
    stream.write(text)
    stream.flush()
