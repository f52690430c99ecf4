"""Calls for programs without an event loop: one request each, made and over.

after = publish("http://127.0.0.1:8000", "orders-7", "custom.order.paid", {"amount": 12})
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.client.holdfast import Holdfast


def publish(
    base_url: str | Sequence[str],
    session_id: str,
    type: str,
    data: Mapping[str, Any] | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> int:
    """Publish an event of your own, as `Holdfast.publish` does; not from a running event loop."""

    async def call() -> int:
        async with Holdfast(base_url, headers=headers) as client:
            return await client.publish(
                session_id, type, data, metadata=metadata, idempotency_key=idempotency_key
            )

    return asyncio.run(call())
