"""Events as models: `match typed(event)` instead of strings and dictionaries."""

from pydantic import ValidationError

from holdfast.events.catalog import Event, UnknownEvent, parse_event
from holdfast.events.recorded import RecordedEvent


def typed(recorded: RecordedEvent) -> Event:
    """Return the event as its model of `holdfast.events.catalog`, or the application's own.

        match typed(event):
            case MessageDelta(message_id=message, text=text):
                ...

    Never fails: what a newer worker wrote, be it an unknown type or a known one in a form of
    which this client doesn't know, is an `UnknownEvent` with the fields as they are.
    """
    data = recorded.envelope.get("data")
    fields = data if isinstance(data, dict) else {}
    try:
        return parse_event(recorded.type, fields)
    except ValidationError:
        return UnknownEvent(type=recorded.type, fields=fields)
