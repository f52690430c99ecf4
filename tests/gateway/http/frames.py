"""Frames of a stream, as a client sees them."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson

_LINE = re.compile(rb"\r\n|\r|\n")


def parse(blob: bytes) -> list[dict[str, Any]]:
    """Return the frames of a whole stream: their fields, and `:` for a comment."""
    frames: list[dict[str, Any]] = []
    for chunk in blob.split(b"\n\n"):
        frame: dict[str, Any] = {}
        for line in _LINE.split(chunk):
            name, _, value = line.partition(b":")
            if line:
                frame[name.decode() or ":"] = value.removeprefix(b" ")
        if frame:
            frames.append(frame)
    return frames


def seqs(frames: list[dict[str, Any]]) -> list[int]:
    """Return the ids of the frames that carry events."""
    return [int(frame["id"]) for frame in frames if "data" in frame and "event" not in frame]


def types(frames: list[dict[str, Any]]) -> list[str]:
    """Return the types of the events."""
    return [
        orjson.loads(frame["data"])["type"]
        for frame in frames
        if "data" in frame and "event" not in frame
    ]


def named(frames: list[dict[str, Any]]) -> list[str]:
    """Return the names of the control frames."""
    return [frame["event"].decode() for frame in frames if "event" in frame]


async def until(
    lines: AsyncIterator[bytes], wanted: bytes, *, within_s: float = 5.0
) -> list[dict[str, Any]]:
    """Read an open stream until `wanted` was seen; return the frames."""
    blob = b""
    async with asyncio.timeout(within_s):
        while wanted not in blob or not blob.endswith(b"\n\n"):
            blob += await anext(lines)
    return parse(blob)


async def eventually(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Return when the condition holds; a TimeoutError says that it never did."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for is not ours to signal
            await asyncio.sleep(0.01)
