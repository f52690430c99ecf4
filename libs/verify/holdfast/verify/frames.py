"""Frames as they come over the wire, strictly: what a browser would forgive is noted here.

Pure: bytes in, what was seen out. Data is never decoded and encoded again; its digest is of the bytes that came.
"""

import orjson

from holdfast.verify.history import Got, Seen
from holdfast.verify.log import digest_of

# The largest event is 256 KiB; four times that bounds what a server can make us hold.
FRAME_BYTES_MAX = 1024 * 1024

# A seq is a bigint: 19 digits.
_ID_DIGITS_MAX = 19


class FrameReader:
    """Reads the body of one response about `session`; a frame that was cut off is never handed out."""

    def __init__(self, session: str) -> None:
        self.retry_ms: int | None = None
        self.caught_up = False
        self._session = session
        self._pending = b""

    def feed(self, chunk: bytes, at: float) -> list[Seen]:
        """Return what the frames that `chunk` completes were."""
        *frames, self._pending = (self._pending + chunk).split(b"\n\n")
        seen = [found for frame in frames if (found := self._frame(frame, at)) is not None]
        if len(self._pending) > FRAME_BYTES_MAX:
            seen.append(Seen(Got.BROKEN, 0, at, said=f"more than {FRAME_BYTES_MAX:,} bytes"))
            self._pending = b""
        return seen

    def _frame(self, frame: bytes, at: float) -> Seen | None:
        fields: dict[bytes, bytes] = {}
        for line in frame.split(b"\n"):
            if line.startswith(b":") or not line:
                continue
            name, colon, value = line.partition(b": ")
            if not colon or name in fields or b"\r" in line:
                return Seen(Got.BROKEN, 0, at, said=repr(line[:80]))
            fields[name] = value
        if unknown := fields.keys() - {b"id", b"event", b"data", b"retry"}:
            return Seen(Got.BROKEN, 0, at, said=f"field {min(unknown)!r}")
        id_, retry = fields.get(b"id"), fields.get(b"retry")
        if (id_ is not None and not _is_number(id_)) or (retry and not _is_number(retry)):
            return Seen(Got.BROKEN, 0, at, said=repr(frame[:80]))
        if retry is not None:
            self.retry_ms = int(retry)
        return self._seen(fields, None if id_ is None else int(id_), at)

    def _seen(self, fields: dict[bytes, bytes], seq: int | None, at: float) -> Seen | None:
        data = fields.get(b"data")
        if (event := fields.get(b"event")) is not None:
            name = event.decode(errors="replace")
            self.caught_up = self.caught_up or name == "caught-up"
            said = f"{name} {(data or b'').decode(errors='replace')}".strip()
            if name == "reset":
                return Seen(Got.RESET, seq or 0, at, said=said)
            if seq is not None:
                return Seen(Got.BROKEN, seq, at, said=f"{name} with an id")
            return Seen(Got.CONTROL, 0, at, said=said)
        if data is None:
            return None if seq is None else Seen(Got.ID, seq, at)
        if seq is None:
            return Seen(Got.BROKEN, 0, at, said="an event without an id")
        return Seen(
            Got.EVENT, seq, at, digest_of(data), self._other_session(data), live=self.caught_up
        )

    def _other_session(self, data: bytes) -> str | None:
        """Return whom the event is of, if not of ours. Bytes that say nothing are found out by their digest."""
        try:
            named = orjson.loads(data)["session_id"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None
        return None if named == self._session else str(named)


def _is_number(text: bytes) -> bool:
    return text.isdigit() and len(text) <= _ID_DIGITS_MAX
