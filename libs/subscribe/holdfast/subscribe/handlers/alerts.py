"""Telling somebody when something failed, or took too long."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Literal

from holdfast.events.kinds import TypeFilter
from holdfast.subscribe.delivery import Delivery


@dataclass(frozen=True, slots=True)
class Alert:
    """What somebody has to know."""

    kind: Literal["error", "slow"]
    text: str
    event: Delivery

    def body(self) -> dict[str, Any]:
        """Return it as JSON, for a webhook."""
        event = self.event
        return {
            "kind": self.kind,
            "text": self.text,
            "tenant": event.tenant,
            "session_id": event.session_id,
            "run_id": event.run_id,
            "seq": event.seq,
            "event_type": event.type,
        }


class Alerts:
    """Calls `tell(alert)` for every event of `errors`, and for whatever of `slow` took at least `slow_ms`.

    `tell` may be async; `Webhook.tell` is one. When it raises, the event is tried again like any other.
    """

    def __init__(
        self,
        tell: Callable[[Alert], Any],
        *,
        errors: tuple[str, ...] = ("run.failed",),
        slow: tuple[str, ...] = ("run.completed", "run.failed", "run.cancelled"),
        slow_ms: int | None = None,
    ) -> None:
        if not errors and slow_ms is None:
            raise ValueError("nothing to tell: name errors, or say what is slow")
        self._tell, self._slow_ms = tell, slow_ms
        self._errors, self._slow = TypeFilter(errors) if errors else None, TypeFilter(slow)

    async def handle(self, event: Delivery) -> None:
        """Tell what there is to tell of it."""
        for alert in self._alerts(event):
            answer = self._tell(alert)
            if isawaitable(answer):
                await answer

    def _alerts(self, event: Delivery) -> list[Alert]:
        alerts: list[Alert] = []
        what = f"{event.type} in session {event.session_id}"
        if self._errors is not None and self._errors.passes(event.type):
            error: dict[str, Any] = event.data.get("error") or {}
            reason = error.get("message") or event.data.get("reason") or "no reason given"
            alerts.append(Alert("error", f"{what}: {reason}", event))
        took_ms = event.data.get("duration_ms")
        if (
            self._slow_ms is not None
            and isinstance(took_ms, int | float)
            and took_ms >= self._slow_ms
            and self._slow.passes(event.type)
        ):
            text = f"{what} took {took_ms / 1000:.1f} s, over {self._slow_ms / 1000:g} s"
            alerts.append(Alert("slow", text, event))
        return alerts
