"""How events are cut into calls to the stream, the same for every implementation."""

from collections.abc import Sequence

from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import REBASE_EVENTS, WINDOW_BYTES, WINDOW_EVENTS

# A script stops all of Redis while it runs: 256 entries take 0.6 ms, 512 KiB of bodies about as
# long. Two of the largest events fit, and all of an ordinary rebase.
CALL_EVENTS_MAX = REBASE_EVENTS
CALL_BYTES_MAX = 512 * 1024


def calls(events: Sequence[RecordedEvent]) -> list[Sequence[RecordedEvent]]:
    """Cut events into batches of one call each, oldest first. Raises ValueError for a hole."""
    if len(events) == 1:
        return [events]  # what runs that say one thing at a time have
    check_contiguous(events)
    batches: list[Sequence[RecordedEvent]] = []
    start = size = 0
    for index, event in enumerate(events):
        size += len(event.body)
        if index > start and (size > CALL_BYTES_MAX or index - start == CALL_EVENTS_MAX):
            batches.append(events[start:index])
            start, size = index, len(event.body)
    if events:
        batches.append(events[start:])
    return batches


def newest_call(events: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
    """Return the newest of these events that fit into one call, at least one. Raises ValueError.

    A rebase is one call, so that it replaces the window at once; what is left out is older, and
    readers who lack it are served by the store.
    """
    check_contiguous(events)
    size = taken = 0
    for event in reversed(events):
        size += len(event.body)
        if taken and (size > CALL_BYTES_MAX or taken == CALL_EVENTS_MAX):
            break
        taken += 1
    return events[len(events) - taken :]


def entries_to_keep(batch: Sequence[RecordedEvent], *, window_events: int = WINDOW_EVENTS) -> int:
    """Return how many entries a window keeps after `batch`: the usual count, fewer while events are large.

    The batch stands for its window: events of a session are alike, and a guess that is too low costs readers a page
    of the store.
    """
    size = sum([len(event.body) for event in batch])  # a list: most have one
    if not size:
        return window_events
    return max(len(batch), min(window_events, WINDOW_BYTES * len(batch) // size))


def check_contiguous(events: Sequence[RecordedEvent]) -> None:
    """Raise ValueError unless each seq is one above the last: a hole here would reach readers."""
    if any(event.seq != events[0].seq + place for place, event in enumerate(events)):
        raise ValueError(f"not contiguous: {[event.seq for event in events][:20]}")
