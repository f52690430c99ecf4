"""Tells of commits: the stream's publisher first, then whoever listens in this process."""

from collections.abc import Sequence

from holdfast.events.recorded import RecordedEvent
from holdfast.orchestrator.recorder import Announcer
from holdfast.orchestrator.session_log import SessionLog
from holdfast.subscribe.bus import Bus
from holdfast.subscribe.delivery import Delivery


class Announcements:
    """An announcer that also fills the bus; costs nothing for types that nobody listens for."""

    def __init__(self, publishing: Announcer, bus: Bus) -> None:
        self._publishing, self._bus = publishing, bus

    def committed(self, session: SessionLog, events: Sequence[RecordedEvent]) -> None:
        """Publish these, and hand them to listeners. Never fails, never waits."""
        self._publishing.committed(session, events)
        if self._bus.deserted:
            return
        self._bus.publish(
            Delivery(event, event.event_id, session.session, session.tenant)
            for event in events
            if event.event_id is not None and self._bus.wants(event.type)
        )
