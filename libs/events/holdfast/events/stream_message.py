"""What a wake-up says in Redis: the new head, or what was appended itself.

    17                                    the head; the window has the rest
    e1 16 17\n<type>\n<run>\n<body>\n…      events 16 to 17, three lines each; a run that is none is an empty line

The first word is the version. Whoever doesn't know it, or finds the lines not to be as announced, has heard that there
is news and reads the window: so versions of publishers and gateways mix in any order.
"""

from collections.abc import Sequence

from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import Wake

VERSION = b"e1 "

# Larger publishes are announced by their head alone. 40 ordinary events; to copy this much into a message costs Redis
# about what the read costs that it saves (10 µs). Redis cuts off a subscriber that doesn't read at 32 MB as shipped:
# 2,000 of the largest messages, 80,000 ordinary ones.
EVENTS_BYTES_MAX = 16 * 1024


def version_for(events: Sequence[RecordedEvent]) -> bytes:
    """Return the first word of the message that carries these; nothing if it is to have the head alone."""
    return VERSION if sum([len(event.body) for event in events]) <= EVENTS_BYTES_MAX else b""


def read_message(session: int, message: bytes) -> Wake:
    """Return what a message on a session's channel says. Never fails: at the least, there is news."""
    head, *lines = message.split(b"\n")
    try:
        if not message.startswith(VERSION):
            return Wake(session, int(message) if message.isdigit() else None)
        _, first, last = head.split(b" ")
        seq, end = int(first), int(last)
        # A body is one line. One that isn't, by another hand, is found out by the count.
        if len(lines) == 3 and seq == end:
            type_, run_id, body = lines
            event = RecordedEvent(seq, type_.decode(), run_id.decode() or None, body)
            return Wake(session, end, (event,))
        if len(lines) != 3 * (end - seq + 1):
            return Wake(session)
        parts = iter(lines)
        events = [
            RecordedEvent(at, type_.decode(), run_id.decode() or None, body)
            for at, type_, run_id, body in zip(
                range(seq, end + 1), parts, parts, parts, strict=True
            )
        ]
    except ValueError:
        return Wake(session)
    return Wake(session, end, tuple(events))
