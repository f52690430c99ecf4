"""Clients that read a whole stream and count: fast ones to its end, slow ones for as long as those take."""

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_READ_BYTES = 256 * 1024

# A slow client: a mobile one, 200 KB/s. It is behind all the time and must cost a page at most.
SLOW_BYTES, SLOW_PAUSE_S = 20_000, 0.1

_FRAME, _CAUGHT_UP = b"\nid: ", b"event: caught-up"


class ReadFailed(RuntimeError):
    """A client did not get what it should."""


@dataclass(slots=True)
class Reader:
    """One client of one stream; `events` are the frames with an id that it has seen."""

    url: str
    cursor: int | None = None
    slow: bool = False
    first_byte_s: float = 0.0
    first_event_s: float = 0.0
    seconds: float = 0.0
    size: int = 0
    events: int = 0
    _kept: bytes = field(default=b"", repr=False)

    async def read(self, until_id: int | None) -> "Reader":
        """Read until the frame of `until_id` came, or the stream ends; until cancelled if None. Raises ReadFailed."""
        parts = urlsplit(self.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        reader, writer = await asyncio.open_connection(
            parts.hostname, parts.port, limit=SLOW_BYTES if self.slow else _READ_BYTES
        )
        began = time.monotonic()
        try:
            cursor = "" if self.cursor is None else f"Last-Event-ID: {self.cursor}\r\n"
            writer.write(
                f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n"
                f"{cursor}\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise ReadFailed(head.partition(b"\r\n")[0].decode())
            last = b"" if until_id is None else b"\nid: %d\n" % until_id
            while chunk := await reader.read(SLOW_BYTES if self.slow else _READ_BYTES):
                if self._take(chunk, began, last):
                    break
                if self.slow:
                    await asyncio.sleep(SLOW_PAUSE_S)
        finally:
            self.seconds = time.monotonic() - began
            writer.close()
        return self

    def _take(self, chunk: bytes, began: float, last: bytes) -> bool:
        if not self.size:
            self.first_byte_s = time.monotonic() - began
        self.size += len(chunk)
        # What may be the beginning of a mark waits for the rest of it.
        text = self._kept + chunk
        found = text.count(_FRAME)
        if found and not self.events:
            self.first_event_s = time.monotonic() - began
        self.events += found
        if last and last in text:
            return True
        self._kept = text[-len(_FRAME) + 1 :] if not last else text[-len(last) + 1 :]
        # No frame that is whole in what is kept may count twice.
        self.events -= self._kept.count(_FRAME)
        return False
