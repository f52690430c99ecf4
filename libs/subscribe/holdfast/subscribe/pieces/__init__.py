"""Small things that handlers are put together from. Each takes a handler and is one.

    pages = where(is_production, batched(send_mail, size=20, seconds=10))
    subscription("pages", "run.failed", ordered=False, concurrency=20)(pages)

Returning means done and raising means not done, all the way through: in a durable subscription a piece that keeps
events back (a batch, a queue by priority) confirms each only when its handler has it.
"""

from holdfast.subscribe.pieces.batching import Batched, batched
from holdfast.subscribe.pieces.choosing import transformed, where
from holdfast.subscribe.pieces.lanes import Lanes, at_once
from holdfast.subscribe.pieces.priority import Prioritised, by_priority
from holdfast.subscribe.pieces.retrying import retrying
from holdfast.subscribe.pieces.windows import Window, window

__all__ = [
    "Batched",
    "Lanes",
    "Prioritised",
    "Window",
    "at_once",
    "batched",
    "by_priority",
    "retrying",
    "transformed",
    "where",
    "window",
]
