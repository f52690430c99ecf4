"""A cursor that outlives the process: a small file, replaced whole or not at all."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from holdfast.client.errors import ClientError

# Between two writes, so that a fast stream costs a disk at most one flush a second. A crash
# repeats what was handed out since; it never skips.
SAVE_EVERY_S = 1.0

# Ours is 60 bytes and a path; whatever is larger is another file.
_BYTES_MAX = 4096


class CursorFileInvalid(ClientError):
    """The file holds no cursor, or another stream's; it was left as it is."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


class CursorFile:
    """The cursor of one stream in one file. One process at a time may use it."""

    def __init__(self, path: str | Path, stream: str) -> None:
        self.path, self._stream = Path(path), stream
        self._saved: int | None = None

    def load(self) -> int | None:
        """Return the cursor that was saved, None when there is no file. Raises CursorFileInvalid."""
        try:
            with self.path.open("rb") as file:
                body = file.read(_BYTES_MAX)
        except FileNotFoundError:
            return None
        try:
            saved: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            saved = None
        cursor = saved.get("cursor") if isinstance(saved, dict) else None
        if not isinstance(cursor, int) or cursor < 0:
            raise CursorFileInvalid(self.path, "not a cursor file")
        if saved.get("stream") != self._stream:
            raise CursorFileInvalid(
                self.path, f"the cursor of {saved.get('stream')}, not of {self._stream}"
            )
        self._saved = cursor
        return cursor

    async def save(self, cursor: int) -> None:
        """Make `cursor` what the next `load` returns, also after a power cut. Raises OSError."""
        if cursor != self._saved:
            await asyncio.to_thread(self._write, cursor)
            self._saved = cursor

    def _write(self, cursor: int) -> None:
        # Written beside and renamed: a crash leaves the old cursor or the new one, never half.
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with beside.open("wb") as file:
                file.write(orjson.dumps({"stream": self._stream, "cursor": cursor}) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
