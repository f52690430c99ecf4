"""The client of a Holdfast gateway: ask for runs, and follow what becomes of them."""

import random
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from holdfast.client.backoff import Backoff
from holdfast.client.follow import HANDSHAKE_S, STALL_S
from holdfast.client.runs import RunCalls
from holdfast.client.streams import StreamCalls
from holdfast.client.wire import CALL_TIMEOUT_S, Gateways, Wire
from holdfast.events.clock import Clock, SystemClock

DEFAULT_URL = "http://127.0.0.1:8000"


class Holdfast(RunCalls, StreamCalls):
    """A connection to one gateway, or to several that serve the same log.

        async with Holdfast("http://127.0.0.1:8000") as client:
            ticket = await client.start("ticker", {"events": 3})
            async with client.follow_run(ticket.run_id, after=ticket.after) as events:
                async for event in events:
                    print(event.type)

    Calls retry by themselves, which is safe: each write carries an idempotency key. They raise
    ProblemError when the gateway refuses, Unreachable when none answered. With several URLs, a
    failure moves on to the next one. Answers without a class of their own are the gateway's JSON
    objects.
    """

    def __init__(
        self,
        base_url: str | Sequence[str] = DEFAULT_URL,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
        stall_s: float = STALL_S,
        handshake_s: float = HANDSHAKE_S,
        backoff: Backoff | None = None,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        urls = [base_url] if isinstance(base_url, str) else list(base_url)
        self._wire = Wire(
            Gateways(urls),
            headers=headers or {},
            timeout_s=timeout_s,
            backoff=backoff or Backoff(),
            clock=clock or SystemClock(),
            chance=chance or random.Random(),
        )
        self._stall_s, self._handshake_s = stall_s, handshake_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection, also those of followers."""
        await self._wire.close()
