"""Whether a new connection leads to the log that a process opened: asked of each one, before anything else.

Behind one address there may be another log from one moment to the next: a standby was promoted, a backup restored to
a point in time, the database replaced by a copy. What a process holds in memory was then written on another timeline,
and its stream's windows have another name. Such a change ends the connections to the database that was there before,
so asking new ones is enough, and costs nothing while nothing changes. The same look finds a schema that was migrated
beyond what this version can work with.
"""

from collections.abc import Callable

import structlog

from holdfast.events.errors import LogChanged, MigrationError
from holdfast.events.identity_postgres import log_name
from holdfast.events.migrate import check_schema
from holdfast.events.pool_postgres import Connection

log = structlog.get_logger("holdfast.store")

OnChanged = Callable[[LogChanged], object]


class LogCheck:
    """Lets connections to one log through, and none after the first that led elsewhere."""

    def __init__(self, *, log_id: str | None = None, on_changed: OnChanged | None = None) -> None:
        """Without `log_id` the first connection decides. `on_changed` is called once, in the loop that found out."""
        self.log_id = log_id
        self._opened = log_id is not None
        self._on_changed = on_changed
        self._changed: LogChanged | None = None

    async def __call__(self, connection: Connection) -> None:
        """Raise LogChanged unless the connection leads to the log. While it is opened: MigrationError."""
        if self._changed is not None:
            raise LogChanged(*self._changed.args)
        try:
            await check_schema(connection)
        except MigrationError as error:
            if not self._opened:
                raise
            raise self._end(str(error)) from error
        name = await log_name(connection)
        if self.log_id is None:
            self.log_id = name
        elif name != self.log_id:
            raise self._end(
                f"the database holds the log {name}, not {self.log_id} that was opened: it failed over, was restored"
                " or replaced"
            )
        self._opened = True

    def _end(self, why: str) -> LogChanged:
        error = LogChanged(f"{why}; this process must be started again")
        if self._changed is None:
            self._changed = error
            log.error("log.changed", error=str(error))
            if self._on_changed is not None:
                self._on_changed(error)
        return error
