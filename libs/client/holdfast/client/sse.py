"""Server-sent events out of a stream of bytes, by the WHATWG's rules, whatever the chunks.

Pure: bytes in, frames out. Two deliberate differences from a browser's parser, both because a
cursor matters more than an event here: a frame without data is handed out too (an id-only frame
moves the cursor), and data stays bytes, so that an event can be kept verbatim.
"""

import re
from dataclasses import dataclass

from holdfast.client.errors import ClientError

# The largest event is 256 KiB of JSON; four times that leaves room for any framing and still
# bounds the memory that a server (or whatever pretends to be one) can make us hold.
FRAME_BYTES_MAX = 1024 * 1024

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"

# 12 digits of milliseconds are 31 years; more would only make int() work.
_RETRY_DIGITS_MAX = 12


class FrameTooLarge(ClientError):
    """One frame is over FRAME_BYTES_MAX: this is no stream of ours."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What stood between two blank lines. None is a field that was absent; a browser drops a
    frame without data.
    """

    id: str | None = None
    event: str | None = None
    data: bytes | None = None


class FrameParser:
    """Feed it the bytes of one response, in any chunks; what an incomplete last frame held is
    never handed out.
    """

    def __init__(self) -> None:
        self.last_id = (
            ""  # as a browser's lastEventId: committed at a blank line, kept until the next one
        )
        self.retry_ms: int | None = None  # in force at its line end, without a blank line
        self._line: list[bytes] = []
        self._size = 0  # of the frame so far, unfinished line included
        self._after_cr = False
        self._first_line = True
        self._id: str | None = None
        self._event: str | None = None
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that `chunk` completes. Raises FrameTooLarge."""
        if self._after_cr and chunk:
            # CR LF is one line end, also when the chunk ends between the two.
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        frames: list[Frame] = []
        *ended, rest = _LINE_END.split(chunk)
        for end in ended:
            self._grow(len(end))
            self._line.append(end)
            line = b"".join(self._line)
            self._line.clear()
            if self._first_line:
                line = line.removeprefix(_BOM)
                self._first_line = False
            if line:
                self._field(line)
            else:
                self._end_frame(frames)
        if rest:
            self._grow(len(rest))
            self._line.append(rest)
        return frames

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > FRAME_BYTES_MAX:
            raise FrameTooLarge(f"a frame of more than {FRAME_BYTES_MAX:,} bytes")

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"":
                # A comment, such as a heartbeat. A stream of nothing else must not add up to a
                # frame.
                self._size -= len(line)
            case b"data":
                self._data.append(value)
            case b"event":
                self._event = value.decode(errors="replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode(errors="replace")
            case b"retry" if value.isdigit():
                self.retry_ms = int(value.lstrip(b"0")[:_RETRY_DIGITS_MAX] or b"0")
            case _:
                pass  # the rules say to ignore what is unknown

    def _end_frame(self, frames: list[Frame]) -> None:
        frame = Frame(
            id=self._id,
            event=self._event or None,
            data=b"\n".join(self._data) if self._data else None,
        )
        if self._id is not None:
            self.last_id = self._id
        self._size, self._id, self._event = 0, None, None
        self._data.clear()
        if frame != _NOTHING:
            frames.append(frame)


_NOTHING = Frame()
