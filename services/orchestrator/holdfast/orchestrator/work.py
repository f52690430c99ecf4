"""What the recorder has in its hands: entries of one session between "pending" and "known to be in the log"."""

from dataclasses import dataclass

from holdfast.events.store import SessionBatch
from holdfast.orchestrator.session_log import Entry, SessionLog


@dataclass(slots=True, eq=False)
class Work:
    """The oldest entries of one session on their way into the log."""

    session: SessionLog
    batch: SessionBatch
    entries: list[Entry]
    unknown: bool = False  # the last try's outcome has to be asked for
    doubtful: bool = False  # some try's outcome was unknown: it may even come through later
    done: bool = False

    def doubt(self) -> None:
        """Take note that nobody knows what became of the last try."""
        self.unknown = self.doubtful = True
