"""What a client asks the hub for, and what the hub gives each subscription to work with."""

import random
from dataclasses import dataclass

from holdfast.events.clock import Clock
from holdfast.events.kinds import TypeFilter
from holdfast.events.store import Reader
from holdfast.gateway.catchup import Catchup
from holdfast.gateway.lookups import Lookups
from holdfast.gateway.observer import Observer
from holdfast.gateway.options import HubOptions
from holdfast.gateway.pulses import Pulses
from holdfast.gateway.selection import EVERYTHING
from holdfast.gateway.tail import Tail


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest:
    """What a client asked for, already checked: the session is its tenant's, the cursor is a seq."""

    session: int
    cursor: int = 0
    types: TypeFilter = EVERYTHING
    agent: str | None = None
    run_id: str | None = (
        None  # a run stream: this run's and its children's events, to its terminal event
    )
    run_ended: bool = False  # whether the run had ended when it was looked up


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What all subscriptions of a hub share."""

    reader: Reader
    catchup: Catchup
    pulses: Pulses
    lookups: Lookups
    tail: Tail
    clock: Clock
    chance: random.Random
    options: HubOptions
    observer: Observer
