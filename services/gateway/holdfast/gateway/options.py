"""The hub's numbers, each with its arithmetic."""

from dataclasses import dataclass

# A reader may lag 5 s behind 100 events/s before it costs Postgres a page.
RING_EVENTS = 512

# 512 × ~400 bytes = 200 KB ordinarily; nearly two of the largest events (256 KiB) fit, and the newest is always kept.
# 1,000 hot sessions hold 0.5 GB at worst.
RING_BYTES = 512 * 1024

# One piece: 650 ordinary events. With uvicorn's high-water mark of 64 KB a stalled reader holds at most 320 KB of live
# events here, and of pages what one turn takes (`reading`).
CHUNK_BYTES = 256 * 1024

# Pages of one moment are shared: 16 MiB = 80 ordinary pages, for 2 s, long enough for a wave of reconnects.
PAGE_CACHE_BYTES = 16 * 1024 * 1024
PAGE_CACHE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """How patient and how large a hub is. All durations are in seconds of the injected clock."""

    heartbeat_s: float = 15.0  # proxies close idle connections after 30 to 60 s
    send_deadline_s: float = (
        30.0  # a reader that takes nothing for so long is let go; its cursor lets it come back
    )
    linger_s: float = 10.0  # a feed outlives its last subscriber by a reconnect or two
    # With the jitter at most 3 s apart: with the grace of 1.5 s, clients are told that nobody works on their run within
    # the lease plus 5 s. One query for all watched sessions.
    check_s: float = 2.5
    check_away_s: float = 1.0  # the same while Redis or Postgres is away
    tick_s: float = 1.0  # one timer looks after all subscriptions: 10,000 of them cost it 2 ms
    tell_s: float = 1.0  # how often an idle filtered stream moves its client's cursor
    retry_s: float = 1.0  # before a subscriber asks an unavailable store again
    rest_s: float = (
        60.0  # a ring that nothing was added to for so long is emptied; the store has it all
    )
    drain_s: float = 10.0  # 10,000 clients leave at 1,000 a second
    drain_grace_s: float = 1.0  # for the last write of the last wave
    ring_events: int = RING_EVENTS
    ring_bytes: int = RING_BYTES
    chunk_bytes: int = CHUNK_BYTES
    page_cache_bytes: int = PAGE_CACHE_BYTES
    page_cache_s: float = PAGE_CACHE_S
