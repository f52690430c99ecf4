"""Letting some events pass, and passing on something else."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from inspect import isawaitable
from typing import Any

from holdfast.events.codec import to_json
from holdfast.events.recorded import RecordedEvent
from holdfast.subscribe.delivery import Delivery, Handler


def where(wanted: Callable[[Delivery], bool], handler: Handler) -> Handler:
    """Hand on the events for which `wanted` is true; the others are done with."""

    async def choose(event: Delivery) -> None:
        if wanted(event):
            await handler(event)

    return choose


def transformed(
    change: Callable[[Delivery], Delivery | Awaitable[Delivery | None] | None], handler: Handler
) -> Handler:
    """Hand on what `change` makes of each event; None: it is done with. `change` may be async, to look things up."""

    async def pass_on(event: Delivery) -> None:
        made = change(event)
        changed = await made if isawaitable(made) else made
        if changed is not None:
            await handler(changed)

    return pass_on


def enriched(event: Delivery, **metadata: Any) -> Delivery:
    """Return the event with more in its metadata, for handlers only: what is recorded stays as it is."""
    envelope = {**event.envelope}
    envelope["metadata"] = {**(envelope.get("metadata") or {}), **metadata}
    recorded = RecordedEvent(event.seq, event.type, event.run_id, to_json(envelope))
    return replace(event, recorded=recorded)
