"""What the frames of a stream mean to a reader with a cursor. Pure: no clock, no socket.

The rule that makes a gap visible: an event's id is one above the last id; only an id-only frame
(all up to here is accounted for) and a `reset` may jump. Whatever breaks it is not delivered: the
reader asks again from its cursor.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson

from holdfast.client.errors import ClientError
from holdfast.client.sse import Frame
from holdfast.events.cursor import parse_cursor
from holdfast.events.errors import CursorInvalid
from holdfast.events.recorded import RecordedEvent


class Signal(Enum):
    """What a control frame says about the stream, beside its events."""

    CAUGHT_UP = "caught-up"
    STALLED = "stalled"
    LIVE = "live"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Reset:
    """The stream goes on after `seq` instead of after the cursor: history before it is gone, or
    the cursor's never was.

    Drop what was made of earlier events when `seq` is below them; fetch the state at `seq` when
    it is above.
    """

    seq: int
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    type: str = "reset"


class StreamBroken(ClientError):
    """The stream can't be trusted beyond the cursor; `gap` when events are missing from it."""

    def __init__(self, what: str, *, gap: bool = False) -> None:
        super().__init__(what)
        self.gap = gap


class Position:
    """A cursor that moves with the frames it is shown, and the end it moves to."""

    def __init__(self, after: int, *, run_id: str | None = None, until: int | None = None) -> None:
        self.cursor = after
        self.duplicates = 0
        self.run_ended = False
        self.stalled_since: str | None = None  # what the last `stalled` said
        self._run_id, self._until = run_id, until

    @property
    def ended(self) -> bool:
        """Whether nothing that is wanted can follow."""
        return self.run_ended or (self._until is not None and self.cursor >= self._until)

    def take(self, frame: Frame) -> RecordedEvent | Reset | Signal | None:
        """Move along with `frame`; return what it brings, None for a duplicate or a mere move.

        Raises StreamBroken, with the cursor where it was.
        """
        seq = None if frame.id is None else self._seq(frame.id)
        if frame.event == "reset":
            return self._reset(seq, frame)
        if frame.event is not None and frame.event != "message":
            # Controls of ours carry no id; one that we don't know may, and then means what it
            # means to a browser.
            self._jump(seq)
            signal = _SIGNALS.get(frame.event)
            if signal is Signal.STALLED:
                self.stalled_since = _since(frame.data)
            return signal
        if frame.data is None:
            self._jump(seq)
            return None
        if seq is None:
            raise StreamBroken("an event without an id")
        if seq <= self.cursor:
            self.duplicates += 1
            return None
        if seq != self.cursor + 1:
            raise StreamBroken(f"event {seq} came after {self.cursor}", gap=True)
        recorded = self._recorded(seq, frame.data)
        self.cursor = seq
        # Children of the run end in this stream too; only its own end is the stream's.
        self.run_ended = recorded.is_terminal and recorded.run_id == self._run_id
        return recorded

    def _jump(self, seq: int | None) -> None:
        if seq is not None and seq > self.cursor:
            self.cursor = seq

    def _reset(self, seq: int | None, frame: Frame) -> Reset:
        if seq is None:
            raise StreamBroken("a reset without a position")
        details = _json_object(frame.data or b"{}")
        self.cursor = seq
        return Reset(seq, str(details.get("reason") or "unknown"), details)

    @staticmethod
    def _seq(text: str) -> int:
        try:
            return parse_cursor(text)
        except CursorInvalid as error:
            raise StreamBroken(str(error)) from error

    @staticmethod
    def _recorded(seq: int, body: bytes) -> RecordedEvent:
        envelope = _json_object(body)
        type_, run_id = envelope.get("type"), envelope.get("run_id")
        if envelope.get("seq") != seq or not isinstance(type_, str):
            raise StreamBroken(f"frame {seq} holds another event, or none")
        return RecordedEvent(seq, type_, run_id if isinstance(run_id, str) else None, body)


_SIGNALS = {signal.value: signal for signal in Signal}


def _since(data: bytes | None) -> str | None:
    """Read since when; what can't be read is not worth a stream that is sound otherwise."""
    try:
        since: Any = _json_object(data or b"{}").get("since")
    except StreamBroken:
        return None
    return since if isinstance(since, str) else None


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise StreamBroken("a frame's data is not JSON") from error
    if not isinstance(value, dict):
        raise StreamBroken("a frame's data is not a JSON object")
    return value
