"""Frames of `text/event-stream`, as bytes. Nothing here remembers anything; `position` decides which frame may follow.

LF only. An event's data frame is unnamed, so that `onmessage` gets every type. A frame with an id moves the client's
cursor (also when it has no data: browsers dispatch nothing and keep the id); control frames have none, but for `reset`.
"""

from typing import Any

from holdfast.events.codec import to_json
from holdfast.events.recorded import RecordedEvent

MEDIA_TYPE = "text/event-stream"

HEARTBEAT = b": hb\n\n"
"""A comment: keeps the connection alive and moves no cursor."""


END = b"\n\n"
"""What ends a frame."""


def label(seq: int) -> bytes:
    """Return what is before an event's body in its frame; behind it there is `END`."""
    return b"id: %d\ndata: " % seq


def frame(recorded: RecordedEvent) -> bytes:
    """Return the event's frame, its body verbatim. Raises ValueError for a body that isn't one line."""
    body = recorded.body
    # The codec writes one line; a body by another hand would be cut in two here, and clients would see half of it.
    if b"\n" in body or b"\r" in body:
        raise ValueError(f"the body of event {recorded.seq} is not one line")
    return b"id: %d\ndata: %b\n\n" % (recorded.seq, body)


def body_of(frame: bytes) -> bytes:
    """Return the event's body out of a frame that `frame` made."""
    return frame[frame.index(b"\ndata: ") + 7 : -2]


def id_only(seq: int) -> bytes:
    """Return the frame that says: everything up to `seq` is accounted for."""
    return b"id: %d\n\n" % seq


def control(name: str, data: Any) -> bytes:
    """Return a named frame about the stream itself; it has no id and leaves the cursor alone."""
    return b"event: %b\ndata: %b\n\n" % (name.encode("ascii"), to_json(data))


def reset(seq: int, reason: str, **details: Any) -> bytes:
    """Return the frame from which this response goes on after `seq`.

    It has that id: a client that reconnected with its old cursor would only be reset again, for ever.
    """
    data = to_json({"reason": reason, **details})
    return b"event: reset\nid: %d\ndata: %b\n\n" % (seq, data)


def retry(milliseconds: int) -> bytes:
    """Return how long a client should wait before it connects again."""
    return b"retry: %d\n\n" % milliseconds
