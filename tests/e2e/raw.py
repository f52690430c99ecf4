"""A client that nobody would write: raw sockets, every byte looked at, cut wherever a test wants it."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Frames:
    """What came over one or many connections: event frames whole, and the position reached."""

    events: list[bytes] = field(default_factory=list[bytes])
    cursor: int | None = None
    control: list[bytes] = field(default_factory=list[bytes])

    def take(self, frame: bytes) -> None:
        """Take one frame, checking the id rule: an event's id is one above the last id."""
        lines = frame.split(b"\n")
        ids = [line[4:] for line in lines if line.startswith(b"id: ")]
        data = [line[6:] for line in lines if line.startswith(b"data: ")]
        named = any(line.startswith(b"event: ") for line in lines)
        if named:
            self.control.append(frame)
        if ids:
            seq = int(ids[0])
            if data and not named:
                assert self.cursor is None or seq == self.cursor + 1, (seq, self.cursor)
                self.events.append(data[0])
            elif not named:
                assert self.cursor is None or seq >= self.cursor, (seq, self.cursor)
            self.cursor = seq


class RawStream:
    """One GET of an event stream over a socket of its own."""

    def __init__(
        self, url: str, *, last_event_id: int | None = None, timeout_s: float = 20.0
    ) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=timeout_s)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", "Accept: text/event-stream"]
        if last_event_id is not None:
            lines.append(f"Last-Event-ID: {last_event_id}")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._buffer = b""
        head = self._until(b"\r\n\r\n")
        self.status = int(head.split(b" ", 2)[1])
        self.headers = head.decode("latin-1").lower()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def bytes(self) -> Iterator[bytes]:
        """Yield the body as it comes, dechunked, to its end."""
        if "transfer-encoding: chunked" not in self.headers:
            return
        while True:
            size = int(self._until(b"\r\n").split(b";")[0], 16)
            chunk = self._exactly(size + 2)[:-2]
            if size == 0:
                return
            yield chunk

    def frames(self) -> Iterator[bytes]:
        """Yield whole frames, without their blank line."""
        pending = b""
        for chunk in self.bytes():
            pending += chunk
            assert b"\r" not in pending, "frames are LF only"
            while b"\n\n" in pending:
                frame, _, pending = pending.partition(b"\n\n")
                yield frame

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _more(self) -> None:
        got = self.socket.recv(65536)
        if not got:
            raise ConnectionError("the server hung up in the middle")
        self._buffer += got


def read_to_end(url: str, *, last_event_id: int | None = None) -> Frames:
    """Read a stream that ends by itself."""
    stream = RawStream(url, last_event_id=last_event_id)
    frames = Frames(cursor=last_event_id)
    try:
        assert stream.status == 200, stream.status
        for frame in stream.frames():
            frames.take(frame)
    finally:
        stream.close()
    return frames
