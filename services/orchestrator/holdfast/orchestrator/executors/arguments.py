"""The arguments of a tool call while a model still writes them, and the result of a call in the one form clients get.

A call is announced by `tool.progress` as soon as its name is known; `tool.started` follows when its arguments are
whole.
"""

import json
import time
from typing import Any

from pydantic import JsonValue

from holdfast.events.catalog import ToolProgress
from holdfast.events.recorded import Context
from holdfast.orchestrator.scribe import Scribe

# The text so far is shown, not the piece: a reader that missed one is right with the next. So it is shown seldom, and
# only while it is short: 4,096 characters in steps of 256 are 16 events of 2 KB on average.
SHOWN_EVERY_CHARS = 256
SHOWN_EVERY_S = 0.1
SHOWN_CHARS_MAX = 4096


class Arguments:
    """The arguments of one call as they come."""

    def __init__(self, scribe: Scribe, call_id: str, name: str, at: Context) -> None:
        self.call_id, self.name, self.at = call_id, name, at
        self.text, self._scribe = "", scribe
        self._shown_chars, self._shown_at = -1, 0.0

    async def add(self, piece: str) -> None:
        """Take the next piece of the JSON text and show what there is, now and then."""
        self.text += piece
        grown = len(self.text) - self._shown_chars
        late = grown > 0 and time.monotonic() - self._shown_at >= SHOWN_EVERY_S
        first = self._shown_chars < 0
        if len(self.text) > SHOWN_CHARS_MAX or not (first or late or grown >= SHOWN_EVERY_CHARS):
            return
        self._shown_chars, self._shown_at = len(self.text), time.monotonic()
        event = ToolProgress(call_id=self.call_id, name=self.name, text=self.text or None)
        await self._scribe.emit(event, self.at)

    def parsed(self) -> JsonValue:
        """Return the whole arguments; text that is no JSON stays text, and no text is no arguments."""
        return parsed(self.text) if self.text else {}


def parsed(text: str) -> JsonValue:
    """Return what a JSON text says, or the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def normal_result(content: Any) -> tuple[JsonValue, str]:
    """Return a tool's result and its content type: objects and lists as JSON, all else as the text that it is.

    Frameworks hand results over as text, whatever they were. `12` may be a number or a house number: it stays text.
    """
    if not isinstance(content, str):
        return content, "application/json"
    found = parsed(content) if content.lstrip()[:1] in ("{", "[") else content
    return (content, "text/plain") if isinstance(found, str) else (found, "application/json")
