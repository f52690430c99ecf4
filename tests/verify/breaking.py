"""What corruptions are made with: each breaks a history in one place and names the invariant that has to notice.

A corruption changes the history that it is given; it returns False where there is nothing to break.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from holdfast.events.kinds import is_terminal
from holdfast.verify import (
    Client,
    Connection,
    Got,
    History,
    Invariant,
    LogEvent,
    Want,
)

Corruption = Callable[[History, random.Random], bool]

CORRUPTIONS: dict[str, tuple[Invariant, Corruption]] = {}


def breaks(invariant: Invariant) -> Callable[[Corruption], Corruption]:
    """Say which invariant has to notice."""

    def note(corruption: Corruption) -> Corruption:
        CORRUPTIONS[corruption.__name__] = (invariant, corruption)
        return corruption

    return note


def places(history: History, *, whole: bool = False) -> list[tuple[Client, Connection, int]]:
    """Return where clients saw events; with `whole`, only of clients without a filter."""
    return [
        (client, connection, row)
        for client in history.clients
        if not whole or client.want == Want()
        for connection in client.connections
        for row, seen in enumerate(connection.seen)
        if seen.kind is Got.EVENT
    ]


def rows(history: History, *types: str) -> list[tuple[list[LogEvent], int]]:
    """Return where the log has events of these types."""
    return [
        (log.events, place)  # type: ignore[misc]
        for log in history.logs
        for place, event in enumerate(log.events)
        if not types or event.type in types
    ]


def change(chance: random.Random, found: list[tuple[list, int]], **fields: object) -> bool:
    """Change one of them."""
    if not found:
        return False
    of, place = chance.choice(found)
    of[place] = replace(of[place], **fields)
    return True


def extend(history: History, chance: random.Random, type_: str) -> bool:
    """Let a run that has ended go on at the end of its log."""
    number = chance.randrange(len(history.logs))
    log = history.logs[number]
    ended = chance.choice([event for event in log.events if is_terminal(event.type)])
    seq = log.head + 1
    log.events.append(
        replace(ended, seq=seq, said_seq=seq, type=type_, key=None, step=None, epoch=log.epoch)
    )
    history.logs[number] = replace(log, head=seq)
    return True
