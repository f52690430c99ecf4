"""What a process writes down while it works: one line, one write, at the end of a file that survives its death.

The page cache outlives a SIGKILL, and a write of a short line to a file opened for appending is whole or not there;
a reader passes over what is torn all the same.
"""

import os
import time
from pathlib import Path
from typing import Any

import orjson


class Notebook:
    """A process's own file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, kind: str, **facts: Any) -> None:
        """Write a line down before returning."""
        os.write(self._file, orjson.dumps({"k": kind, "t": time.time(), **facts}) + b"\n")

    def count(self, name: str, n: int = 1) -> None:
        """Write down that something happened."""
        self.note("count", c=name, n=n)


class Pages:
    """Reads notebooks as they grow: each line once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._read: dict[str, int] = {}

    def path(self, name: str) -> Path:
        """Return where the process called `name` writes."""
        return self.directory / f"{name}.jsonl"

    def news(self, name: str) -> list[dict[str, Any]]:
        """Return the whole lines that were written since the last look."""
        begun = self._read.get(name, 0)
        try:
            # Asked for many times a second, of many that had nothing to say.
            if self.path(name).stat().st_size == begun:
                return []
            with self.path(name).open("rb") as file:
                file.seek(begun)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read[name] = begun + len(whole)
        found: list[dict[str, Any]] = []
        for line in whole.splitlines():
            try:
                found.append(orjson.loads(line))
            except orjson.JSONDecodeError:
                continue
        return found

    def forget(self, name: str) -> None:
        """Remove the file of a process that is gone, read to its end."""
        self.path(name).unlink(missing_ok=True)
        self._read.pop(name, None)
