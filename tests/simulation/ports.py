"""The ways from a process to its servers, as they are on a bad day: late, cut off before or after the effect, dead.

A call travels, is carried out at once and as a whole in the server's own process, and its answer travels back. What
can be lost on the way is what the real adapters lose:

    before   the connection broke first: nothing was done
    busy     a row was held by somebody else: nothing was done (StoreBusy, appends only)
    after    it was done and the answer was lost: the caller knows nothing
    late     the caller was told that it failed, and it is done afterwards: a statement in a socket's buffer
"""

import random
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from enum import Enum
from typing import Any

from holdfast.events.errors import HoldfastError, StoreBusy, StoreUnavailable, StreamUnavailable
from tests.simulation.loop import Handle, SimulatedLoop
from tests.simulation.nap import Waited, Wakeup
from tests.simulation.process import Process, State

# What pool_postgres gives a caller: 2 s for a connection, 10 s for an answer. Redis is waited for for 2 s.
STORE_ACQUIRE_S = 2.0
STORE_ANSWER_S = 10.0
STREAM_ANSWER_S = 2.0


@dataclass(slots=True)
class Weather:
    """How likely a call is to go wrong in which way, and how slow the network is."""

    before: float = 0.0
    busy: float = 0.0
    after: float = 0.0
    late: float = 0.0
    slow: float = 0.0  # how many trips take long
    slow_s: float = 0.0  # how long, at most

    @property
    def calm(self) -> bool:
        """Whether nothing goes wrong."""
        return not (self.before or self.busy or self.after or self.late)


class Reach(Enum):
    """Whether a server can be reached."""

    UP = "up"
    REFUSES = "refuses"  # down: every connection is refused
    HANGS = "hangs"  # stopped: connections stand, nothing is answered


class Server:
    """Postgres or Redis: a process that carries calls out, one at a time."""

    def __init__(
        self,
        loop: SimulatedLoop,
        name: str,
        error: type[HoldfastError],
        *,
        answer_s: tuple[float, float],
        chance: random.Random,
    ) -> None:
        self.name, self.error, self.answer_s = name, error, answer_s
        self.process = Process(loop, name)
        self.weather = Weather()
        self.reach = Reach.UP
        self.broken_at: list[float] = []  # when the connections of each boot were broken
        self.loop, self.chance = loop, chance
        self.held: list[Callable[[], None]] = []  # what came while it hung

    @property
    def boots(self) -> int:
        """Which boot this is: connections of an earlier one are broken."""
        return len(self.broken_at)

    def go_down(self) -> None:
        """Break every connection and refuse new ones."""
        self.reach = Reach.REFUSES
        self.break_connections()
        self.held.clear()

    def break_connections(self) -> None:
        """Lose every answer that is on its way."""
        self.broken_at.append(self.loop.time())

    def hang(self) -> None:
        """Answer nothing any more."""
        self.reach = Reach.HANGS

    def come_back(self) -> None:
        """Answer again, first what came meanwhile."""
        self.reach = Reach.UP
        held, self.held = self.held, []
        for work in held:
            self.process.call(work)

    def carry_out(self, work: Callable[[], None]) -> None:
        """Do `work` now, or when the server goes on."""
        if self.reach is Reach.HANGS:
            self.held.append(work)
        else:
            work()

    def trip_s(self) -> float:
        """Return how long a way takes."""
        chance = self.chance.random()
        weather = self.weather
        if weather.slow and chance < weather.slow:
            return self.chance.random() * weather.slow_s
        return 0.0002 + 0.003 * chance * chance

    def unavailable(self, how: str) -> HoldfastError:
        """Return the error that an adapter raises."""
        return self.error(f"{self.name}: {how}")


Seen = Callable[[str, str, str], None]
"""Takes process, call and what became of it."""

Method = Callable[..., Coroutine[Any, Any, Any]]


class Wire:
    """One process's way to one server."""

    def __init__(self, process: Process, server: Server, seen: Seen | None = None) -> None:
        self.process, self.server = process, server
        self._seen = seen

    async def call(self, what: str, method: Method, *args: Any, **kwargs: Any) -> Any:
        """Have `method` carried out by the server. Raises what the real adapter would."""
        if self.process.state is State.DEAD:
            await self.server.loop.create_future()  # nobody is there to go on
        return await _Call(self, what, method, args, kwargs)

    def note(self, what: str, how: str) -> None:
        """Trace what became of a call."""
        if self._seen is not None:
            self._seen(self.process.name, what, how)


class _Call(Waited):
    """One call on its way: it is sent as soon as it is waited for."""

    __slots__ = (
        "_answer",
        "_args",
        "_boots",
        "_due",
        "_error",
        "_kwargs",
        "_method",
        "_reply",
        "_server",
        "_what",
        "_wire",
    )

    def __init__(
        self, wire: Wire, what: str, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._server = server = wire.server
        # As `Waited` does, written out: there are two hundred of these in a schedule.
        self._loop, self._asyncio_future_blocking = server.loop, True
        self._wakeup = self._context = None
        self._cancelled = False
        self._wire, self._what, self._method = wire, what, method
        self._args, self._kwargs = args, kwargs
        self._boots = server.boots
        self._answer: Any = None
        self._error: Exception | None = None
        self._reply: Handle | None = None  # on its way back to whoever waits
        self._due = 0.0  # when it is there

    # --- the caller's side ---------------------------------------------------------------------------

    def begin(self, wakeup: Wakeup, context: Context) -> None:
        """Send it."""
        server = self._server
        away = server.reach is Reach.REFUSES
        self._loop.call_later(
            server.trip_s(), self._refuse if away else self._arrive, context=server.process.context
        )

    def forget(self) -> None:
        """Whoever asked has gone; what was sent is sent."""
        if self._reply is not None:
            self._reply.cancel()

    def outcome(self) -> Any:
        """Return the answer, or raise what the real adapter would."""
        error, server = self._error, self._server
        # An answer that is there is read, even if its caller was held back until the server was gone, and what it
        # tells with it: an "OK" of a primary that lost what it confirms.
        if (
            self._reply is not None
            and server.boots != self._boots
            and server.broken_at[self._boots] < self._due
        ):
            error = server.unavailable("connection lost after")
        self._wire.note(self._what, "ok" if error is None else str(error))
        if error is not None:
            raise error
        return self._answer

    # --- at the server -------------------------------------------------------------------------------

    def _arrive(self) -> None:
        """Be carried out, or lost."""
        server = self._server
        if server.reach is Reach.REFUSES or server.boots != self._boots:
            self._fail("connection lost before")
            return
        if server.reach is Reach.HANGS:
            # The caller gives up after its own time; what it sent is still there.
            patience = server.chance.choice(server.answer_s)
            self._loop.call_later(patience, self._fail, "no answer", context=server.process.context)
            server.held.append(self._carry_out_late if server.chance.random() < 0.5 else _nothing)
            return
        weather = server.weather
        if not weather.calm:
            luck = server.chance.random()
            if (luck := luck - weather.before) < 0:
                self._fail("connection lost before")
                return
            if (luck := luck - weather.late) < 0:
                self._fail("connection lost, still under way")
                delay = server.chance.random() ** 2 * 3.0
                self._loop.call_later(
                    delay, server.carry_out, self._carry_out_late, context=server.process.context
                )
                return
            if self._what == "writer.append" and (luck := luck - weather.busy) < 0:
                self._tell(StoreBusy(f"{server.name}: a row is held"))
                return
            if luck - weather.after < 0:
                self._carry_out()
                self._fail("connection lost after")
                return
        self._answer, self._error = self._carry_out()
        if (wakeup := self._wakeup) is not None:
            # The answer goes to the caller by itself: if the connection breaks before it is there, it is lost.
            trip_s = server.trip_s()
            self._due = self._loop.time() + trip_s
            self._reply = self._loop.call_later(trip_s, wakeup, self, context=self._context)

    def _refuse(self) -> None:
        self._fail("connection refused")

    def _fail(self, how: str) -> None:
        """Tell the caller that it failed, whatever it did."""
        self._tell(self._server.unavailable(how))

    def _tell(self, error: Exception) -> None:
        self._error = error
        self.end()

    def _carry_out_late(self) -> None:
        if self._server.boots != self._boots:
            return  # it was in a buffer of a server that is gone
        self._wire.note(self._what, "carried out late")
        self._carry_out()

    def _carry_out(self) -> tuple[Any, Exception | None]:
        return carried_out(self._method(*self._args, **self._kwargs))


def carried_out(work: Coroutine[Any, Any, Any]) -> tuple[Any, Exception | None]:
    """Run a twin's method to its end at once: between two of its turns nobody else runs, as in a transaction."""
    try:
        while True:
            work.send(None)
    except StopIteration as done:
        return done.value, None
    except Exception as error:  # noqa: BLE001 - it is the caller's
        return None, error


def _nothing() -> None:
    pass


class Remote:
    """A twin, called over a wire."""

    def __init__(self, wire: Wire, name: str, twin: Any) -> None:
        self._wire, self._name, self._twin = wire, name, twin

    def __getattr__(self, name: str) -> Any:
        wire, what, method = self._wire, f"{self._name}.{name}", getattr(self._twin, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return wire.call(what, method, *args, **kwargs)

        setattr(self, name, call)
        return call


STORE_ERROR: type[HoldfastError] = StoreUnavailable
STREAM_ERROR: type[HoldfastError] = StreamUnavailable
