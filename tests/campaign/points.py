"""The failpoints: a name for every await of the write path, and what may happen there.

A list of names and nothing else, so that who plans faults need not import what is hurt. `failpoints` knows where in
the product each of them lies. A shot is written `append.after:kill@3`: at the third time, there, this.
"""

import random
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What happens at a failpoint."""

    KILL = "kill"  # SIGKILL to oneself: nothing flushed, nothing said
    RAISE = "raise"  # what the adapter raises when its server is away
    DROP = "drop"  # the same, behind the call: it took effect, and nobody was told
    DELAY = "delay"  # the call takes its time


class Away(StrEnum):
    """What an adapter can find to be away."""

    STORE = "store"
    STREAM = "stream"
    NOTHING = ""  # no adapter: nothing can be raised there


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the product. `most`: it is passed so often in a second of work that a shot may wait that long."""

    name: str
    away: Away
    most: int
    # What has to be shot first, so that the place is passed at all.
    before: str = ""

    def actions(self) -> tuple[Action, ...]:
        """Return what may be done here beside killing."""
        if self.away is Away.NOTHING:
            return (Action.DELAY,) if not self.name.endswith(".now") else ()
        found = Action.DROP if self.name.endswith((".after", ".committed")) else Action.RAISE
        return (found, Action.DELAY)


def _pair(name: str, away: Away, most: int, before: str = "") -> list[Point]:
    return [Point(f"{name}.{place}", away, most, before) for place in ("before", "after")]


_DROPPED = "append.after:drop@1"
_GAP = "publish.before:gap@1"
_DRAIN = "drain"

# A worker. Between `before` and `after` lies the adapter's call; `uncommitted` is between the statement and COMMIT.
WORKER: tuple[Point, ...] = (
    *_pair("append", Away.STORE, 12),
    Point("append.uncommitted", Away.STORE, 12),
    *_pair("resolve", Away.STORE, 1, _DROPPED),
    *_pair("claim", Away.STORE, 4),
    Point("claim.committed", Away.STORE, 2),
    *_pair("renew", Away.STORE, 3),
    # Most sessions are let go: what is left is given back without a look.
    *_pair("release", Away.STORE, 1, _DRAIN),
    *_pair("let-go", Away.STORE, 2),
    *_pair("look", Away.STORE, 1),
    *_pair("journal", Away.STORE, 1),
    *_pair("strike", Away.STORE, 1),
    *_pair("pending", Away.STORE, 4),
    *_pair("open-runs", Away.STORE, 3),
    *_pair("mark-published", Away.STORE, 1),
    *_pair("unpublished", Away.STORE, 1),
    *_pair("expire-due", Away.STORE, 1),
    *_pair("announce", Away.STORE, 1),
    *_pair("withdraw", Away.STORE, 1, _DRAIN),
    *_pair("read", Away.STORE, 1, _GAP),
    *_pair("publish", Away.STREAM, 12),
    *_pair("rebase", Away.STREAM, 1, _GAP),
    *_pair("window-read", Away.STREAM, 1),
    *_pair("checkpoint", Away.STORE, 3),
    Point("checkpoint.uncommitted", Away.STORE, 3),
    *_pair("checkpoint-writes", Away.STORE, 3),
    Point("checkpoint-writes.uncommitted", Away.STORE, 3),
    *_pair("checkpoint-read", Away.STORE, 2),
    *_pair("settle", Away.NOTHING, 4),
    *_pair("durable", Away.NOTHING, 8),
    *_pair("begin", Away.NOTHING, 2),
    *_pair("end", Away.NOTHING, 2),
    Point("recorded.now", Away.NOTHING, 12),
    Point("announced.now", Away.NOTHING, 12),
    Point("owned.now", Away.NOTHING, 2),
)

# A gateway, where it writes: the rows of what is asked.
GATEWAY: tuple[Point, ...] = (
    *_pair("desk-start", Away.STORE, 3),
    Point("desk.uncommitted", Away.STORE, 3),
    *_pair("desk-cancel", Away.STORE, 1),
    *_pair("hint", Away.STREAM, 3),
    *_pair("read", Away.STORE, 3),
    *_pair("window-read", Away.STREAM, 3),
)

BY_NAME = {point.name: point for point in (*GATEWAY, *WORKER)}


@dataclass(frozen=True, slots=True)
class Shot:
    """At the `at`th time that the point is passed, this."""

    point: str
    action: str
    at: int = 1
    seconds: float = 0.0  # of a delay

    @classmethod
    def of(cls, text: str) -> "Shot":
        """Read `append.after:kill@3` or `renew.before:delay=1.5@2`. Raises ValueError."""
        point, _, rest = text.partition(":")
        action, _, at = rest.partition("@")
        action, _, seconds = action.partition("=")
        return cls(point, action, int(at or 1), float(seconds or 0))

    def __str__(self) -> str:
        seconds = f"={self.seconds:g}" if self.seconds else ""
        return f"{self.point}:{self.action}{seconds}@{self.at}"


def shots(point: Point, action: Action, chance: random.Random, *, lease_s: float) -> list[Shot]:
    """Return what arms a process for `action` at this point: the shot itself, and what leads there."""
    found = [Shot.of(point.before)] if ":" in point.before else []
    seconds = round(chance.uniform(0.1, 2.5) * lease_s, 2) if action is Action.DELAY else 0.0
    return [*found, Shot(point.name, action, chance.randint(1, point.most), seconds)]


def needs_drain(point: Point) -> bool:
    """Tell whether the point is passed only by a process that was told to end."""
    return point.before == _DRAIN
