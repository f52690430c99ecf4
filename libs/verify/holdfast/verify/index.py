"""Look-ups over a history, made once, so that every check is one pass over its own part."""

from bisect import bisect_right
from collections import defaultdict

from holdfast.events.kinds import TypeFilter
from holdfast.verify.history import History, Want
from holdfast.verify.log import LogEvent, SessionLog


class Index:
    """A history with its log at hand by session, seq and run."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.logs: dict[str, SessionLog] = {log.session: log for log in history.logs}
        self.events: dict[str, dict[int, LogEvent]] = {}
        self.of_run: dict[str, list[tuple[str, LogEvent]]] = defaultdict(list)
        children: dict[str, set[str]] = defaultdict(set)
        for log in history.logs:
            at = self.events.setdefault(log.session, {})
            for event in log.events:
                at.setdefault(event.seq, event)
                if event.run_id is not None:
                    self.of_run[event.run_id].append((log.session, event))
                    if event.parent_run_id is not None:
                        children[event.parent_run_id].add(event.run_id)
        self._children = children
        self._wanted: dict[tuple[str, Want], list[int]] = {}

    def event(self, session: str, seq: int) -> LogEvent | None:
        """Return the event of the log at this place."""
        return self.events.get(session, {}).get(seq)

    def head(self, session: str) -> int:
        """Return the head of a session's log; 0 for a session without one."""
        log = self.logs.get(session)
        return log.head if log else 0

    def min_seq(self, session: str) -> int:
        """Return the first seq that is kept."""
        log = self.logs.get(session)
        return log.min_seq if log else 1

    def owed(self, session: str, want: Want, *, after: int, through: int) -> tuple[int, int]:
        """Return how many wanted events there are after `after` up to `through`, and the first one's seq (or 0)."""
        if through <= after:
            return 0, 0
        seqs = self._seqs(session, want)
        first, last = bisect_right(seqs, after), bisect_right(seqs, through)
        return last - first, seqs[first] if first < last else 0

    def wants(self, session: str, want: Want, seq: int) -> bool:
        """Tell whether the event at this place is wanted."""
        return self.owed(session, want, after=seq - 1, through=seq)[0] > 0

    def _seqs(self, session: str, want: Want) -> list[int]:
        # One pass for each pair of a session and a filter that somebody asked for: there are few.
        key = (session, want)
        if key not in self._wanted:
            family, types = self._family(want.run_id), TypeFilter(want.types)
            self._wanted[key] = sorted(
                event.seq
                for event in self.events.get(session, {}).values()
                if want.passes(event, family, types)
            )
        return self._wanted[key]

    def _family(self, run_id: str | None) -> frozenset[str]:
        found: set[str] = set()
        rest = [run_id] if run_id is not None else []
        while rest:
            one = rest.pop()
            if one not in found:
                found.add(one)
                rest.extend(self._children.get(one, ()))
        return frozenset(found)
