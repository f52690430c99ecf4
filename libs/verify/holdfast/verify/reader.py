"""A client that writes down everything: it follows a stream, is cut off, and comes back at another gateway."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from holdfast.verify.frames import FrameReader
from holdfast.verify.history import Client, Connection, Ending, Want
from holdfast.verify.plan import Timeline
from holdfast.verify.wire import BROKEN, RawStream

# How long a client stays away after a cut: short, so that the time is spent on streams; never all at once.
AWAY_S = (0.0, 0.3)

# After a failure: as long as a browser's shortest patience, spread.
RETRY_S = (0.3, 1.0)

# What a server may ask for with `retry:`, at most: its own is 4 s.
RETRY_MOST_S = 5.0

# One resume in ten goes back on purpose, by up to fifty events: what comes again must be the same.
BACK_CHANCE = 0.1
BACK_MOST = 50

_OK, _NO_CONTENT = 200, 204


class Reader:
    """Follows one stream until it ends or `leave` is called; `client` is what it wrote down."""

    def __init__(
        self,
        name: str,
        session: str,
        want: Want,
        *,
        after: int,
        gateways: Sequence[str],
        churn: float,
        chance: random.Random,
        timeline: Timeline,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.client = Client(name=name, session=session, want=want)
        self.connects: list[float] = []
        self.refusals = 0
        self.frames = 0
        self._after = self._cursor = after
        self._gateways, self._turn = gateways, chance.randrange(len(gateways))
        self._churn, self._chance, self._timeline = churn, chance, timeline
        self._headers = headers or {}
        self._cut: asyncio.Timeout | None = None
        self._asked_s: float | None = None

    @property
    def cursor(self) -> int:
        """Where it is."""
        connections = self.client.connections
        return max(self._cursor, connections[-1].reached if connections else 0)

    @property
    def path(self) -> str:
        """What it asks for."""
        want = self.client.want
        where = (
            f"runs/{quote(want.run_id, safe='')}"
            if want.run_id
            else f"sessions/{self.client.session}"
        )
        types = f"?types={quote(','.join(want.types), safe=',.*')}" if want.types else ""
        return f"/v1/{where}/stream{types}"

    def calm(self) -> None:
        """Cut no more."""
        self._churn = 0.0
        if self._cut is not None and not self._cut.expired():
            self._cut.reschedule(None)

    async def follow(self) -> None:
        """Read until the server says that there is no more; cancel it to leave."""
        while True:
            url = self._gateways[self._turn % len(self._gateways)]
            self._turn += 1
            self._asked_s = None
            asked = self._timeline.now()
            try:
                stream = await RawStream.open(
                    url, self.path, cursor=self._cursor, headers=self._headers
                )
            except BROKEN:
                await asyncio.sleep(self._chance.uniform(*RETRY_S))
                continue
            self.connects.append(self._timeline.now() - asked)
            try:
                if stream.status == _NO_CONTENT:
                    return
                if stream.status == _OK:
                    ending = await self._read(stream, url, asked)
                else:
                    self.refusals += 1
                    ending = Ending.LOST
            finally:
                stream.abort()
            away = AWAY_S if ending is Ending.CUT else RETRY_S
            await asyncio.sleep(max(self._chance.uniform(*away), self._asked_s or 0.0))

    async def _read(self, stream: RawStream, url: str, asked: float) -> Ending:
        connection = Connection(gateway=url, cursor=self._cursor, at=asked)
        self.client.connections.append(connection)
        frames = FrameReader(self.client.session)
        life_s = self._chance.expovariate(self._churn) if self._churn else None
        ending = Ending.LEFT
        try:
            async with asyncio.timeout(life_s) as self._cut:
                async for chunk in stream.chunks():
                    seen = frames.feed(chunk, self._timeline.now())
                    self.frames += len(seen)
                    connection.seen += seen
            ending = Ending.END
        except BROKEN:
            ending = Ending.CUT if self._cut is not None and self._cut.expired() else Ending.LOST
        finally:
            self._cut = None
            connection.ending = ending
            self._cursor = connection.reached
        if ending is Ending.CUT and self._chance.random() < BACK_CHANCE:
            self._cursor = max(self._after, self._cursor - self._chance.randint(1, BACK_MOST))
        if frames.retry_ms is not None and ending is Ending.END:
            self._asked_s = min(RETRY_MOST_S, frames.retry_ms / 1000)
        return ending
