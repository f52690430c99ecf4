"""Sessions as traces: a line of the log for every span, for whatever collects lines and draws traces of them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from holdfast.subscribe.delivery import Delivery

# Some 500 bytes each, so 5 MB: what 1,000 runs at work have open, ten spans each. The oldest are forgotten beyond.
OPEN_SPANS_MAX = 10_000

_BEGINNINGS = ("session.created", "run.started", "step.started", "tool.started", "llm.started")
_ENDINGS = {
    "session.expired": "expired",
    "session.erased": "erased",
    "run.completed": "ok",
    "run.failed": "error",
    "run.cancelled": "cancelled",
    "step.completed": "ok",
    "step.failed": "error",
    "tool.completed": "ok",
    "tool.failed": "error",
    "llm.completed": "ok",
    "llm.failed": "error",
}

# What keeps a span apart from the others of its kind in its run.
_KEYS = {"step": "step", "tool": "call_id", "llm": "call_id"}

_Run = tuple[int, str | None]  # a session, and one of its runs


@dataclass(frozen=True, slots=True)
class _Span:
    kind: str
    key: str
    start: datetime
    fields: dict[str, Any]


class Traces:
    """Logs `span kind=step name=… trace_id=… span_id=… parent_id=… start=… duration_ms=… status=…` when one ends.

    Spans are sessions (also told when they begin, `status=open`), runs, steps, tools and model calls. The trace is the
    caller's, where the run has one, else the session. Ids are made of the names of things, so a line that is told
    twice, or by another process, has the same ones; a step that is done over is one span from its first start. Of a
    span whose start this object hasn't seen, or has forgotten, the end event's own duration is told.
    """

    types = (*_BEGINNINGS, *_ENDINGS)
    """What it wants to hear of."""

    def __init__(self, *, logger: str = "holdfast.traces") -> None:
        self._log = structlog.get_logger(logger)
        self._open: dict[_Run, dict[tuple[str, str], _Span]] = {}
        self._full = False
        self.open = 0  # spans

    async def handle(self, event: Delivery) -> None:
        """Take in a start, or log what ended."""
        kind, _, _ = event.type.partition(".")
        if event.type in _BEGINNINGS:
            span = _span(event, kind)
            self._begin(event, span)
            if kind == "session":
                self._tell(event, span, status="open", duration_ms=None)
        elif (status := _ENDINGS.get(event.type)) is not None:
            if kind == "run":
                self._leave_open(event)
            self._end(event, kind, status)
            if kind == "session":
                for place in [one for one in self._open if one[0] == event.session]:
                    self.open -= len(self._open.pop(place))

    def _begin(self, event: Delivery, span: _Span) -> None:
        place = _run(event, span.kind)
        spans = self._open.get(place, {})
        if (span.kind, span.key) in spans:
            return
        if self.open >= OPEN_SPANS_MAX:
            self._forget()
        self._open.setdefault(place, {})[span.kind, span.key] = span
        self.open += 1

    def _forget(self) -> None:
        place, spans = next(iter(self._open.items()))
        self._take(place, next(iter(spans)))
        if not self._full:
            self._full = True
            self._log.warning("traces.full", open_max=OPEN_SPANS_MAX)

    def _take(self, place: _Run, which: tuple[str, str]) -> _Span | None:
        """Take a span out of the table; a run without open spans has no place in it."""
        spans = self._open.get(place)
        if spans is None or (span := spans.pop(which, None)) is None:
            return None
        self.open -= 1
        if not spans:
            del self._open[place]
        return span

    def _leave_open(self, event: Delivery) -> None:
        """Tell what a run leaves unfinished at its end, the youngest first."""
        place = _run(event, "run")
        for which in reversed([one for one in self._open.get(place, {}) if one[0] != "run"]):
            if (span := self._take(place, which)) is not None:
                took_ms = _since(span.start, event.ts)
                self._tell(event, span, status="unfinished", duration_ms=took_ms)

    def _end(self, event: Delivery, kind: str, status: str) -> None:
        ended = _span(event, kind)
        begun = self._take(_run(event, kind), (kind, ended.key))
        if begun is not None:
            took_ms = _since(begun.start, event.ts)
            self._tell(event, begun, status=status, duration_ms=took_ms)
            return
        took_ms = event.data.get("duration_ms")
        start = event.ts - timedelta(milliseconds=took_ms or 0)
        span = _Span(kind, ended.key, start, ended.fields)
        self._tell(event, span, status=status, duration_ms=took_ms)

    def _tell(self, event: Delivery, span: _Span, *, status: str, duration_ms: int | None) -> None:
        fields = dict(span.fields)
        if (parent_id := self._parent_id(event, span)) is not None:
            fields["parent_id"] = parent_id
        if duration_ms is not None:
            fields["duration_ms"] = duration_ms
        if status == "error":
            fields["error"] = (event.data.get("error") or {}).get("code")
        tell = self._log.warning if status == "error" else self._log.info
        tell(
            "span",
            kind=span.kind,
            tenant=event.tenant,
            session=event.session_id,
            trace_id=event.envelope.get("trace_id") or _digest("trace", event.session)[:32],
            span_id=_span_id(event.session, span.kind, _run_id(event, span.kind), span.key),
            start=span.start.isoformat(),
            status=status,
            **fields,
        )

    def _parent_id(self, event: Delivery, span: _Span) -> str | None:
        session, run_id = event.session, event.run_id
        if span.kind == "session":
            return None
        if span.kind == "run":
            above = event.envelope.get("parent_run_id")
            kind = "session" if above is None else "run"
            return _span_id(session, kind, above, "")
        # Steps are named by paths: the innermost open one that this is in, or else the run.
        within = str(span.fields.get("step", ""))
        steps = (key for kind, key in self._open.get((session, run_id), {}) if kind == "step")
        own = span.kind == "step"
        around = [
            key for key in steps if within.startswith(f"{key}/") or (key == within and not own)
        ]
        if around:
            return _span_id(session, "step", run_id, max(around, key=len))
        return _span_id(session, "session" if run_id is None else "run", run_id, "")


def _span(event: Delivery, kind: str) -> _Span:
    data, envelope = event.data, event.envelope
    at = {n: envelope[n] for n in ("run_id", "step", "agent", "lane", "attempt") if n in envelope}
    name = data.get("name") or data.get("workflow") or data.get("model")
    if name is not None:
        at["name"] = name
    field = _KEYS.get(kind)
    key = str((envelope if field == "step" else data).get(field, "")) if field else ""
    return _Span(kind, key, event.ts, at)


def _run_id(event: Delivery, kind: str) -> str | None:
    return None if kind == "session" else event.run_id


def _run(event: Delivery, kind: str) -> _Run:
    return event.session, _run_id(event, kind)


def _since(start: datetime, end: datetime) -> int:
    # Two workers' clocks may disagree.
    return max(0, round((end - start).total_seconds() * 1000))


def _span_id(session: int, kind: str, run_id: str | None, key: str) -> str:
    return _digest("span", session, kind, run_id, key)[:16]


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
