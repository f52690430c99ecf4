"""What listens to the log: an in-process bus, durable subscriptions, and read models made from events.

    @listen("run.failed")                        this process's recorded events, as they are committed; may drop
    @subscription("crm", "run.completed")        the whole log, at least once, for ever
    class Totals(Projection): …                  a table made from the log; can be made again from nothing

A module that declares some is found by `holdfast subscribe module`, `holdfast dev app.py` and by entry points.
"""

from holdfast.subscribe.bus import Bus, Listener, listen
from holdfast.subscribe.delivery import Delivery, GiveUp, Handler, Position
from holdfast.subscribe.projection import Projection
from holdfast.subscribe.subscription import Retry, Start, Subscription, subscription

__all__ = [
    "Bus",
    "Delivery",
    "GiveUp",
    "Handler",
    "Listener",
    "Position",
    "Projection",
    "Retry",
    "Start",
    "Subscription",
    "listen",
    "subscription",
]
