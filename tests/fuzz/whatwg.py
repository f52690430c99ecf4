"""An event stream as a browser reads it: the standard's own algorithm, over the whole text at once.

Written from the text of the standard (HTML, 9.2.6 "Interpreting an event stream") and nothing of ours, so that encoder
and parser can't be wrong together. Slow and plain on purpose.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dispatched:
    """What a browser would call its listeners with."""

    type: str
    data: str
    last_event_id: str


@dataclass
class Interpreted:
    """What a browser made of a stream."""

    events: list[Dispatched]
    last_event_id: str  # what it would reconnect with
    retry_ms: int | None


def interpret(blob: bytes) -> Interpreted:
    """Return what a browser makes of these bytes, at their end."""
    # "Streams must be decoded using the UTF-8 decode algorithm", which takes one BOM away.
    text = blob.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
    result = Interpreted([], "", None)
    data, event_type, id_buffer = "", "", ""
    for line in _lines(text):
        if line == "":
            result.last_event_id = id_buffer
            if data == "":
                event_type = ""
                continue
            result.events.append(
                Dispatched(event_type or "message", data.removesuffix("\n"), result.last_event_id)
            )
            data, event_type = "", ""
            continue
        if line.startswith(":"):
            continue
        field, colon, value = line.partition(":")
        if colon and value.startswith(" "):
            value = value[1:]
        if field == "event":
            event_type = value
        elif field == "data":
            data += value + "\n"
        elif field == "id" and "\0" not in value:
            id_buffer = value
        elif field == "retry" and value and all(digit in "0123456789" for digit in value):
            result.retry_ms = int(value)
    return result


def _lines(text: str) -> list[str]:
    """Return every line that has its end. U+0085 and U+2028 are no ends: `splitlines` would say they are."""
    lines: list[str] = []
    line: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        at += 1
        if character == "\r":
            if text[at : at + 1] == "\n":
                at += 1
        elif character != "\n":
            line.append(character)
            continue
        lines.append("".join(line))
        line.clear()
    return lines
