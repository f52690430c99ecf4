"""Clients that write everything down: hundreds of connections in one process, cut at random, back at any gateway."""

import asyncio
import random
from collections.abc import Mapping, Sequence

from holdfast.verify.history import Client, Want
from holdfast.verify.plan import Timeline
from holdfast.verify.reader import Reader


class Crowd:
    """Readers of sessions and of runs. `gateways` may change while they read: the list is looked at each time."""

    def __init__(
        self, gateways: Sequence[str], timeline: Timeline, chance: random.Random, *, churn: float
    ) -> None:
        """`churn`: cuts per second of each reader's time on a connection."""
        self._gateways, self._timeline, self._chance = gateways, timeline, chance
        self._churn = churn
        self.readers: list[tuple[Reader, asyncio.Task[None]]] = []

    @property
    def clients(self) -> list[Client]:
        """What they wrote down."""
        return [reader.client for reader, _ in self.readers]

    @property
    def reconnects(self) -> int:
        """How often somebody came back."""
        return sum(max(0, len(client.connections) - 1) for client in self.clients)

    def follow(self, session: str, *, run_id: str | None = None, after: int = 0) -> Reader:
        """Let a reader come: of a session from its beginning on, or of one run."""
        reader = Reader(
            f"c{len(self.readers)}",
            session,
            Want(run_id=run_id),
            after=after,
            gateways=self._gateways,
            churn=self._churn,
            chance=random.Random(self._chance.getrandbits(64)),
            timeline=self._timeline,
        )
        task = asyncio.create_task(reader.follow(), name=reader.client.name)
        self.readers.append((reader, task))
        return reader

    def calm(self) -> None:
        """Cut nobody any more."""
        self._churn = 0.0
        for reader, _ in self.readers:
            reader.calm()

    def behind(self, heads: Mapping[str, int]) -> list[str]:
        """Return who still waits: readers of a session for its head, readers of a run for its end."""
        return [
            f"{reader.client.name} at {reader.cursor} of {heads.get(reader.client.session)}"
            for reader, task in self.readers
            if (
                not task.done()
                if reader.client.want.run_id is not None
                else reader.cursor < heads.get(reader.client.session, 0)
            )
        ]

    async def leave(self) -> None:
        """Send everybody home. All of them stayed to the end. What broke a reader is raised."""
        for _, task in self.readers:
            task.cancel()
        ends = await asyncio.gather(*(task for _, task in self.readers), return_exceptions=True)
        for reader, _ in self.readers:
            reader.client.stayed = True
        for end in ends:
            if isinstance(end, Exception):
                raise end
