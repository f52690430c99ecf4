"""Keeps secrets of the environment out of events: an error's text is somebody else's, and may quote what it was given.

Values of environment variables whose names speak of a secret are masked, and passwords inside URLs. It is a net below
the tightrope: code that puts a secret into a message on purpose isn't helped by it.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from pydantic import JsonValue

from holdfast.events.catalog import ErrorInfo, Event
from holdfast.events.recorded import Emission

MASK = "[secret]"

# Names that speak of a secret, wherever in the name.
_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)

# A shorter value ("1", "true", "dev") is no secret that could be kept, and masking it would spoil every sentence.
SECRET_CHARS_MIN = 6

# scheme://user:password@host: the password goes, the rest helps whoever reads the error. A scheme begins only where a
# word does: tried from each letter of a long word, it would take seconds, in which the worker's loop stands still.
_IN_URL = re.compile(
    r"(?P<before>(?<![a-z0-9+.-])[a-z0-9+.-]+://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE
)


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return `text` with every secret of the environment masked."""
    found = {
        value
        for name, value in (os.environ if environment is None else environment).items()
        if len(value) >= SECRET_CHARS_MIN and _NAMES.search(name)
    }
    # The longest first: a secret may be the beginning of another one.
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _IN_URL.sub(rf"\g<before>{MASK}", text)


def redact_error(info: ErrorInfo) -> ErrorInfo:
    """Return an error that carries no secret, itself when it carries none."""
    message, details = redact(info.message), cast("Any", _deep(info.details))
    if message == info.message and details == info.details:
        return info
    return info.model_copy(update={"message": message, "details": details})


def redact_event(event: Event) -> Event:
    """Return an event whose error, if it has one, carries no secret."""
    # Not by getattr: of a model without such a field that costs a microsecond, for every event.
    info = event.__dict__.get("error")
    if not isinstance(info, ErrorInfo):
        return event
    clean = redact_error(info)
    return event if clean is info else event.model_copy(update={"error": clean})


def redacted(emissions: Sequence[Emission]) -> Sequence[Emission]:
    """Return the emissions with no secret in their errors; themselves, most often."""
    if all(one.event.__dict__.get("error") is None for one in emissions):
        return emissions
    return [
        one if (clean := redact_event(one.event)) is one.event else replace(one, event=clean)
        for one in emissions
    ]


def _deep(value: JsonValue | Mapping[str, JsonValue] | None) -> JsonValue | None:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _deep(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_deep(inner) for inner in value]
    return value
