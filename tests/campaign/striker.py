"""A reader that strikes at the very receipt of an event: between what it saw and the fault lies no await."""

import asyncio
from collections.abc import AsyncIterator, Callable

from holdfast.verify.history import Ending, Want
from holdfast.verify.reader import Reader
from holdfast.verify.wire import RawStream
from tests.campaign.load import Ticket
from tests.campaign.round import Round

# Every event has data, and no frame of an event has it twice.
_EVENT = b"\ndata: "


class Striker(Reader):
    """Follows a run as others do; `strike` is called once, when `left` more events have come."""

    left = -1
    strike: Callable[[], None]
    struck: asyncio.Event

    def arm(self, events: int, strike: Callable[[], None]) -> asyncio.Event:
        """Strike at so many events from now; return what tells of it."""
        self.strike, self.left, self.struck = strike, events, asyncio.Event()
        return self.struck

    async def _read(self, stream: RawStream, url: str, asked: float) -> Ending:
        return await super()._read(_Watched(stream, self._saw), url, asked)

    def _saw(self, chunk: bytes) -> None:
        if self.left > 0:
            self.left -= chunk.count(_EVENT)
            if self.left <= 0:
                self.strike()
                self.struck.set()


class _Watched(RawStream):
    """A stream whose chunks somebody looks at before they are read."""

    def __init__(self, stream: RawStream, look: Callable[[bytes], None]) -> None:
        self._stream, self._look = stream, look

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream.chunks():
            self._look(chunk)
            yield chunk


def striker(round_: Round, run: Ticket) -> Striker:
    """Let one come to a run."""
    reader = Striker(
        f"striker-{len(round_.crowd.readers)}",
        run.session,
        Want(run_id=run.run_id),
        after=0,
        gateways=round_.field.gateways,
        churn=0.0,
        chance=round_.chance,
        timeline=round_.field.timeline,
    )
    task = asyncio.create_task(reader.follow(), name=reader.client.name)
    round_.crowd.readers.append((reader, task))
    return reader
