"""What a durable subscription is: its name, the types it wants, its handler, and how failure is treated."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from holdfast.events.kinds import TypeFilter
from holdfast.subscribe.delivery import Delivery, Handler, Handles, as_handler

NAME_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)

# A handler that takes longer has failed: long enough for a slow service, far below what anybody would wait.
HANDLE_TIMEOUT_S = 30.0

# Sessions that are handled at once.
CONCURRENCY = 8
CONCURRENCY_MAX = 500  # one page: more would never be used


class Start(StrEnum):
    """Where a subscription that never ran begins."""

    BEGINNING = "beginning"
    NOW = "now"


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a failing event is tried, and how far apart: `first_s`, doubling up to `last_s`, each ± 20 %.

    As shipped: 8 tries within 1 + 2 + 4 + … + 64 s, about two minutes; then it is a dead letter.
    """

    tries: int = 8
    first_s: float = 1.0
    last_s: float = 300.0

    def __post_init__(self) -> None:
        if not (self.tries >= 1 and 0 <= self.first_s <= self.last_s):
            raise ValueError("a retry needs at least one try, and 0 <= first_s <= last_s")

    def pause_s(self, tries: int) -> float | None:
        """Return how long to wait after this many failures; None: it was the last try."""
        if tries >= self.tries:
            return None
        # The exponent is bounded: 2.0**1024 is no float any more.
        return min(self.last_s, self.first_s * 2.0 ** min(tries - 1, 64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A durable consumer of the whole log.

    `name` is its identity: where it stands is kept under it, whichever process runs it. With `ordered`, a session's
    events are handled one after the other in the order of their seqs, and those behind one that fails wait for it,
    until it is a dead letter; other sessions go on. Without, each event is on its own.
    """

    name: str
    handler: Handler
    types: tuple[str, ...] = ()
    start: Start = Start.BEGINNING
    ordered: bool = True
    concurrency: int = CONCURRENCY
    retry: Retry = Retry()
    timeout_s: float = HANDLE_TIMEOUT_S

    def __post_init__(self) -> None:
        check_name(self.name)
        # Both are often written as one word, and `is Start.NOW` or a tuple of letters would quietly mean another.
        object.__setattr__(self, "start", Start(self.start))
        types: object = self.types
        object.__setattr__(self, "types", (types,) if isinstance(types, str) else self.types)
        TypeFilter(self.types)
        if not 1 <= self.concurrency <= CONCURRENCY_MAX:
            raise ValueError(f"concurrency is between 1 and {CONCURRENCY_MAX}")
        if self.timeout_s <= 0:
            raise ValueError("timeout_s is more than 0")


def check_name(name: str) -> None:
    """Raise ValueError unless this can name a subscription."""
    if not NAME_FORM.fullmatch(name):
        raise ValueError(f"{name[:140]!r} names no subscription: 1 to 128 of A-Z a-z 0-9 . _ -")


def subscription(
    name: str, *types: str, **options: Any
) -> Callable[[Handles | Callable[[Delivery], Any]], Subscription]:
    """Make a handler a durable subscription: of types (`run.completed`), families (`message.*`), or everything.

    @subscription("crm", "run.completed", retry=Retry(tries=3))
    async def tell_crm(event: Delivery) -> None: ...
    """

    def declare(given: Handles | Callable[[Delivery], Any]) -> Subscription:
        # Threads of its own: calls that hang, and stay after they have timed out, are in nobody else's way.
        threads = ThreadPoolExecutor(
            max(1, options.get("concurrency", CONCURRENCY)), thread_name_prefix=f"holdfast-{name}"
        )
        handler = as_handler(given, threads)
        return Subscription(name=name, handler=handler, types=types, **options)

    return declare
