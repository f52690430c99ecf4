"""What `holdfast verify` is to do, and the bounds that make it safe on a system that others use."""

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A gateway takes 10,000 streams as shipped; a tenth of that is felt by nobody.
CLIENTS_MAX = 1_000

# Every cut is a new connection: 250 a second cost a gateway some percent of a core.
CONNECTS_PER_S_MAX = 250.0

DURATION_MAX_S = 3_600.0

# As many received frames are kept for the checker: 2,000,000 × ~200 bytes = 400 MB. Then no further run is started.
FRAMES_MAX = 2_000_000

# Ten readers share a session, in at most twenty sessions: 20 runs at once, at 20 to 50 events/s each.
CLIENTS_PER_SESSION = 10
SESSIONS_MAX = 20

# How long a run may go on after the load, and an unreachable deployment be waited for: a takeover takes the lease
# and 2 s (17 s as shipped), and three of them in a row back off for another 3 s.
PATIENCE_S = 60.0

# Every session is named so: whoever finds one that was left behind knows whose it was.
PREFIX = "verify-"

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")

# What a request for a stream says by itself, and what would change the meaning of a request.
_OWN_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "last-event-id", "idempotency-key"}
    | {"content-type", "content-length", "transfer-encoding", "connection"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A verification. Raises ValueError for what would be no longer bounded."""

    urls: tuple[str, ...]
    duration_s: float = 30.0
    clients: int = 20
    churn: float = 0.5  # cuts per second of each client's time on a connection
    workflow: str = "ticker"
    input: Mapping[str, Any] | None = None
    database_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    alone: bool = False  # nobody else uses the deployment, so that its gauges are ours
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)  # may be secret
    seed: int = field(default_factory=lambda: secrets.randbelow(2**32))
    patience_s: float = PATIENCE_S

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("at least one gateway URL is needed")
        if not 1 <= self.clients <= CLIENTS_MAX:
            raise ValueError(f"between 1 and {CLIENTS_MAX:,} clients")
        if not 1 <= self.duration_s <= DURATION_MAX_S:
            raise ValueError(f"a duration between 1 s and {DURATION_MAX_S:g} s")
        if self.churn < 0 or self.churn * self.clients > CONNECTS_PER_S_MAX:
            raise ValueError(
                f"{self.clients} clients that are cut {self.churn:g} times a second each are more than"
                f" {CONNECTS_PER_S_MAX:g} connections a second: fewer clients, or less churn"
            )
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"{name!r} is no header: 'Name: value', in printable ASCII")
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"header {name!r} is the client's own")
        if self.redis_url and not self.database_url:
            raise ValueError("the window in Redis is found by way of Postgres: --database-url, too")
        if self.workflow != "ticker" and self.input is None:
            raise ValueError(f"what does workflow {self.workflow!r} take? Say --input")

    @property
    def sessions(self) -> int:
        """How many sessions there will be."""
        return max(1, min(SESSIONS_MAX, self.clients // CLIENTS_PER_SESSION))


class Timeline:
    """The wall clock as it was at the start, carried on by the monotonic one: it never jumps."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the seconds of the wall clock."""
        return self._offset + time.monotonic()
