"""Events as lines of the log: named as they are, with where they happened. What they say stays out of it."""

import structlog

from holdfast.subscribe.delivery import Delivery

_FIELDS = ("run_id", "agent", "step", "lane", "task_id", "user_id", "trace_id")


class LogEvents:
    """Logs each event as `run.completed session=… seq=… duration_ms=…`; with `data`, all of its fields.

    Messages are what people said: log data only where the log may hold that.
    """

    def __init__(self, *, data: bool = False, logger: str = "holdfast.events") -> None:
        self._data, self._log = data, structlog.get_logger(logger)

    async def handle(self, event: Delivery) -> None:
        """Log it; failures as warnings."""
        envelope = event.envelope
        fields = {name: envelope[name] for name in _FIELDS if name in envelope}
        data = event.data
        if self._data:
            fields["data"] = data
        else:
            fields |= {name: data[name] for name in ("name", "duration_ms") if name in data}
        tell = self._log.warning if event.type.endswith(".failed") else self._log.info
        tell(event.type, tenant=event.tenant, session=event.session_id, seq=event.seq, **fields)
