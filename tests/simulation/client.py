"""A client that writes down every frame: it is cut off, dawdles, comes back with its cursor or with an older one."""

from typing import TYPE_CHECKING

from holdfast.events.kinds import TypeFilter
from holdfast.verify.frames import FrameReader
from holdfast.verify.history import Client, Connection, Ending, Got, Want
from tests.simulation.gateway import SimulatedGateway
from tests.simulation.link import Broken, Link
from tests.simulation.nap import Nap
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

# A response without a word for so long is given up: two of the simulated gateways' heartbeats and some.
SILENCE_S = 12.0

# How long a client stays away, and what it heeds of a server's `retry:`, at most.
AWAY_S = (0.05, 0.8)
RETRY_MOST_S = 3.0

# One resume in five goes back on purpose.
BACK_CHANCE = 0.2

_OK, _NO_CONTENT, _NOT_FOUND, _GONE = 200, 204, 404, 410


class SimulatedClient:
    """Follows one stream until that is over or the schedule is."""

    def __init__(
        self,
        world: "World",
        name: str,
        session: str,
        *,
        want: Want,
        cursor: int = 0,
        forgettable: bool = False,
    ) -> None:
        """`forgettable` is a session that somebody will erase."""
        self.world = world
        self.process = Process(world.loop, name)
        self.seen = Client(name=name, session=session, want=want, stayed=True)
        self.over = False  # the server said that there is no more
        self._chance = world.fork(name)
        self._want = (session, TypeFilter(want.types), want.run_id)
        self._cursor, self._forgettable = cursor, forgettable
        self._retry_ms: int | None = None
        self._link: Link | None = None
        self._cut = False
        self._drained = False
        self.process.start(self._follow())

    @property
    def reached(self) -> int:
        """Where it is."""
        return self.seen.reached or 0

    def cut(self) -> None:
        """Break its connection off, from its side."""
        if self._link is not None:
            self._cut = True
            self._link.leave()

    async def _follow(self) -> None:
        gateways = self.world.gateways
        turn = self._chance.randrange(len(gateways))
        while not self.over:
            self._retry_ms = None
            await self._connect(gateways[turn % len(gateways)])
            turn += 1
            away_s = self._chance.uniform(*AWAY_S)
            if self._retry_ms is not None:
                away_s = max(away_s, min(RETRY_MOST_S, self._retry_ms / 1000))
            await Nap(self.world.loop, away_s)

    async def _connect(self, gateway: SimulatedGateway) -> None:
        loop = self.world.loop
        self._cut = False
        self._link = link = gateway.connect(self.process, self._want, self._cursor)
        self._watch(link)
        connection = Connection(gateway=gateway.process.name, cursor=self._cursor, at=loop.time())
        frames = FrameReader(self.seen.session)
        try:
            _, status = await link.read()
            if status != _OK:
                self.over = status in (_NO_CONTENT, _GONE)
                # Of a session that is gone or over it gets no event any more, not even the one that says so.
                self.seen.stayed = not (self.over and self._forgettable)
                assert self.over or status == _NOT_FOUND, status
                return
            self.seen.connections.append(connection)
            if self._drained:
                self.world.records.count("came back after a drain")
                self._drained = False
            await self._read(link, frames, connection)
        except Broken:
            connection.ending = Ending.CUT if self._cut else Ending.LOST
        finally:
            self._link = None
            link.leave()
        self._retry_ms = frames.retry_ms
        self._cursor = connection.reached
        if self._cut and self._chance.random() < BACK_CHANCE:
            self._cursor = max(0, self._cursor - self._chance.randint(1, 9))

    async def _read(self, link: Link, frames: FrameReader, connection: Connection) -> None:
        count = self.world.records.count
        while True:
            kind, body = await link.read()
            if kind == "end":
                connection.ending = Ending.END
                return
            seen = frames.feed(body, self.world.loop.time())
            connection.seen += seen
            for frame in seen:
                if frame.kind is Got.RESET:
                    count("cursor reset")
                elif frame.kind is Got.CONTROL:
                    name = frame.said.partition(" ")[0]
                    count(f"told {name}")
                    self._drained = self._drained or name == "drain"
                if self.world.records.trace is not None:
                    self.world.trace(self.process.name, f"{frame.kind} {frame.seq} {frame.said}")

    def _watch(self, link: Link) -> None:
        """Give up a connection that says nothing."""
        if link is not self._link:
            return
        loop = self.world.loop
        if loop.time() - link.heard_at > SILENCE_S:
            if link.owes(SILENCE_S):
                # P9: after so long a comment comes, whatever the stream waits for.
                self.world.records.wrong(f"{self.process.name} heard nothing for {SILENCE_S:g} s")
            link.leave()
        else:
            loop.call_later(SILENCE_S / 3, self._watch, link)
