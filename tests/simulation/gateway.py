"""A gateway of the simulation: the production hub with its stream responses, in a process that can be killed."""

from typing import TYPE_CHECKING

from holdfast.events.errors import SessionUnknown, StoreUnavailable
from holdfast.events.kinds import TypeFilter
from holdfast.events.store import SessionStatus
from holdfast.gateway import sse
from holdfast.gateway.ending import Ending
from holdfast.gateway.hub import Hub
from holdfast.gateway.observer import Observer, Repair, Silent
from holdfast.gateway.options import HubOptions
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.response import EventStreamResponse, ReaderStalled
from holdfast.gateway.subscription import Subscription
from holdfast.gateway.wire import WIRE
from tests.simulation.clocks import SimulatedClock
from tests.simulation.lending import SimulatedLender
from tests.simulation.link import Link
from tests.simulation.process import Process
from tests.simulation.records import Records

if TYPE_CHECKING:
    from tests.simulation.world import World

TENANT = "acme"

# Of the streams, have their connection for themselves, as under the server that the gateway ships with.
LENT_SHARE = 0.7

_OK, _NO_CONTENT, _NOT_FOUND, _GONE = 200, 204, 404, 410


class Counting(Silent, Observer):
    """What a hub does, into the schedule's counters."""

    def __init__(self, records: Records) -> None:
        self._count, self._wrong = records.count, records.wrong

    def ended(self, ending: Ending) -> None:
        """Count it."""
        self._count(f"stream ended, {ending}")

    def repaired(self, cause: Repair) -> None:
        """Count it."""
        self._count(f"repair, {cause}")

    def pushed(self, events: int) -> None:
        """Count it."""
        self._count("push taken")

    def push_refused(self) -> None:
        """Count it."""
        self._count("push refused")

    def caught_behind(self, sessions: int) -> None:
        """Count it."""
        self._count("head check found news", sessions)

    def untold(self, readers: int) -> None:
        """Say so: it should never be."""
        self._wrong(f"{readers} readers were untold")

    def page(self, *, shared: bool) -> None:
        """Count it."""
        self._count("page shared" if shared else "page read")


class SimulatedGateway:
    """One gateway over all its lives."""

    def __init__(self, world: "World", name: str, options: HubOptions) -> None:
        self.world, self.name, self._options = world, name, options
        self._lives = 0
        self.boot()

    def boot(self) -> None:
        """Start a new life."""
        world = self.world
        self._lives += 1
        name = f"{self.name}.{self._lives}"
        self.process = process = Process(world.loop, name)
        self.links: dict[Link, None] = {}
        self.ready = False
        chance = world.fork(name)
        self.clock = SimulatedClock(
            world.loop,
            skew_s=chance.uniform(-1, 1) * world.plan.skew_s,
            uptime_s=chance.random() * 1000,
        )
        store, stream = world.backend.store_for(process), world.backend.stream_for(process)
        wakes = stream.wakes()
        self.hub = process.context.run(
            lambda: Hub(
                store.reader,
                stream,
                wakes,
                clock=self.clock,
                chance=chance,
                options=self._options,
                observer=Counting(world.records),
            )
        )
        self._desk, self._chance = store.desk, chance
        self.draining = False
        process.start(self._run(self.hub))

    async def _run(self, hub: Hub) -> None:
        async with hub:
            self.ready = True
            await self.world.loop.create_future()

    def connect(
        self, client: Process, want: tuple[str, TypeFilter, str | None], cursor: int
    ) -> Link:
        """Begin a request; `want` is session, types and run."""
        world = self.world
        link = Link(world, client, self.process, buffer_bytes=world.plan.buffer_bytes)
        if not self.process.alive or not self.ready or self.draining:
            link.die(lose=True)  # refused
            return link
        self.links[link] = None
        world.loop.call_later(
            world.trip_s(), self._accept, link, want, cursor, context=self.process.context
        )
        return link

    def _accept(self, link: Link, want: tuple[str, TypeFilter, str | None], cursor: int) -> None:
        self.process.start(self._serve(link, want, cursor))

    async def _serve(
        self, link: Link, want: tuple[str, TypeFilter, str | None], cursor: int
    ) -> None:
        try:
            subscription = await self._subscribe(want, cursor)
        except StoreUnavailable:
            # As the routes do: an EventSource would die of any other status.
            await link.send({"type": "http.response.start", "status": _OK})
            await link.send({"type": "http.response.body", "body": sse.retry(500)})
            self.links.pop(link, None)
            return
        except SessionUnknown:
            await self._answer(link, _NOT_FOUND)
            return
        if subscription is None:
            await self._answer(link, _GONE)
            return
        if subscription.already_ended:
            subscription.close()
            await self._answer(link, _NO_CONTENT)
            return
        response = EventStreamResponse(subscription, retry_ms=self._chance.randint(200, 1000))
        # A server that lends its connections, and one that doesn't.
        lent = self._chance.random() < LENT_SHARE
        extensions = {WIRE: SimulatedLender(link)} if lent else {}
        link.on_over = lambda: self.links.pop(link, None)
        try:
            await response({"type": "http", "extensions": extensions}, link.receive, link.send)
        except ReaderStalled:
            link.abort()
        finally:
            if not lent:
                link.over()

    async def _subscribe(
        self, want: tuple[str, TypeFilter, str | None], cursor: int
    ) -> Subscription | None:
        """What the routes do before the first byte. None for a session that is gone."""
        session_id, types, run_id = want
        run = None if run_id is None else await self._desk.run(TENANT, run_id)
        session = await self._desk.session(TENANT, session_id)
        if session.status is SessionStatus.ERASED:
            return None
        return await self.hub.subscribe(
            SubscriptionRequest(
                session=session.session,
                cursor=cursor,
                types=types,
                run_id=run_id,
                run_ended=run is not None and run.status.ended,
            )
        )

    async def _answer(self, link: Link, status: int) -> None:
        await link.send({"type": "http.response.start", "status": status})
        await link.send({"type": "http.response.body", "body": b""})
        self.links.pop(link, None)

    def kill(self) -> None:
        """End it as kill -9 does: its clients are told by its kernel."""
        self.process.kill()
        for link in list(self.links):
            link.die(lose=self.world.chance.random() < 0.5)
        self.links.clear()

    def drain(self) -> None:
        """Send its clients elsewhere, in waves; then it ends."""
        self.process.call(lambda: self.process.start(self._drain()))

    async def _drain(self) -> None:
        self.draining = True
        await self.hub.drain()
        self.kill()
