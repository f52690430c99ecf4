"""Printing what a follower brings, with what a person should know of the connection on stderr."""

from holdfast.cli.output import Output
from holdfast.cli.render import Transcript
from holdfast.client import Follower, Reset, State, Status
from holdfast.events.recorded import RecordedEvent


class Following:
    """One follower's way to the terminal. `cursor` is the last event printed, also after a
    Ctrl-C.
    """

    def __init__(self, output: Output, *, after: int) -> None:
        self.cursor = after
        self._output = output
        self._transcript = Transcript(output)
        self._away = False

    def on_status(self, status: Status) -> None:
        """Tell of trouble with the connection, and of its end."""
        match status.state:
            case State.WAITING:
                # Each failed try has a reason; one line for all of them would hide that the wait
                # grows.
                self._output.notice(f"{status.reason}; trying again in {status.delay_s:.1f} s")
                self._away = True
            case State.CATCHING_UP | State.LIVE if self._away:
                self._output.notice(f"connected again, after event {self.cursor}")
                self._away = False
            case State.STALLED:
                self._output.notice("the run's worker is gone; waiting for another to take over")
                self._away = True
            case _:
                pass

    async def print_all(self, events: Follower) -> RecordedEvent | None:
        """Print until the follower ends; return the last event."""
        last: RecordedEvent | None = None
        async with events:
            async for item in events:
                if self._output.as_json:
                    if isinstance(item, RecordedEvent):
                        self._output.json_line(item.body)
                    else:
                        # Not an event: on stdout it would be taken for one.
                        self._output.notice(_reset(item))
                else:
                    self._transcript.show(item)
                self.cursor = item.seq
                last = item if isinstance(item, RecordedEvent) else last
        self._output.end_line()
        return last


def _reset(reset: Reset) -> str:
    return f"the log goes on after {reset.seq}: {reset.reason}"
