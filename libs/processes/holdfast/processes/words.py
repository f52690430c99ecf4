"""What a supervisor and its processes say to each other: frames over a socket pair, a kind and a length before each."""

import struct
from enum import IntEnum

# Said in the environment: the link's descriptor, the listening socket's (-1: none) and the process' number.
VARIABLE = "HOLDFAST_SUPERVISED"

HEADER = struct.Struct(">BI")

# All metrics of a gateway are some 60 KB of text; 64 processes' together stay below it, too.
FRAME_BYTES_MAX = 16 * 1024 * 1024


class Word(IntEnum):
    """The kinds of frames."""

    # From a process.
    READY = 1  # it serves
    DRAINING = 2  # it is about to end, whoever wanted that
    PONG = 3
    TOLD = 4  # its metrics
    EVERYONE = 5  # tell me the metrics of all

    # To a process.
    DRAIN = 16  # end in order
    LEAVE = 17  # end at once
    PING = 18
    TELL = 19  # your metrics, please
    ALL = 20  # the metrics of all; empty when they can't be had


def frame(word: Word, payload: bytes = b"") -> bytes:
    """Return the bytes of a frame; what is too large for one goes as nothing, which says that it can't be had."""
    if len(payload) > FRAME_BYTES_MAX:
        payload = b""
    return HEADER.pack(word, len(payload)) + payload


def opened(header: bytes) -> tuple[int, int]:
    """Return the kind and the length that a header tells. Raises ValueError for what can't be one."""
    kind, length = HEADER.unpack(header)
    if length > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {length} bytes")
    return kind, length
