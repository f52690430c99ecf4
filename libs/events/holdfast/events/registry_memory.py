"""The table of workflows in memory."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from holdfast.events.state_memory import Announcement, MemoryState, later
from holdfast.events.store import WORKER_SEEN_S, WorkflowInfo


class MemoryRegistry:
    """Workflows over a shared state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def announce(self, worker: str, workflows: Sequence[WorkflowInfo]) -> None:
        """Replace what this worker announced; also its sign of life."""
        now = await self._state.turn()
        known = self._state.announcements
        for name in [name for name, word in known.items() if word.worker == worker]:
            del known[name]
        for workflow in workflows:
            known[workflow.name, workflow.version, worker] = Announcement(workflow, worker, now)

    async def withdraw(self, worker: str) -> None:
        """Say that this worker is gone: what it announced stays known, without a live worker."""
        now = await self._state.turn()
        for word in self._state.announcements.values():
            if word.worker == worker:
                word.seen_at = min(word.seen_at, later(now, -WORKER_SEEN_S))

    async def workflows(self) -> Sequence[WorkflowInfo]:
        """Return every workflow, by name, with the workers seen within WORKER_SEEN_S."""
        now = await self._state.turn()
        words: dict[tuple[str, str], list[Announcement]] = defaultdict(list)
        for (name, version, _), word in self._state.announcements.items():
            words[name, version].append(word)
        return [_told(words[which], later(now, -WORKER_SEEN_S)) for which in sorted(words)]


def _told(words: Sequence[Announcement], since: datetime) -> WorkflowInfo:
    # The word that was given last speaks for its version.
    last = max(words, key=lambda word: word.seen_at)
    live = [w.worker for w in words if w.seen_at > since and not w.info.load_error]
    return replace(last.info, workers=sorted(live))
