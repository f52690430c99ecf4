"""A session's state, kept as its events come: the fold at the head, and every event after it."""

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from holdfast.client.errors import AnswerInvalid
from holdfast.client.follow import Followed, Follower
from holdfast.client.position import Reset
from holdfast.client.status import Counters, Status
from holdfast.events.fold import State, apply, empty_state, from_plain

# A state behind a reset is a gateway that reads from a server which lags: asked once more, it has
# caught up or it is broken.
_LOADS_MAX = 2


class LiveState:
    """An async iterator over a session's new events; `state` holds all that was brought so far.

        async with client.live_state("my-session") as live:
            async for event in live:
                print(live.state.seq, live.state.progress)

    The state is what `GET /v1/sessions/{s}/state` answers at `state.seq`, whatever happens in
    between: after a `Reset`, which is handed out like an event, it was loaded anew. It is changed
    in place, except then.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Mapping[str, Any]]],
        follow: Callable[[int], Follower],
        gateway: str,
    ) -> None:
        self.state: State = empty_state()
        self._load, self._follow, self._gateway = load, follow, gateway
        self._follower: Follower | None = None
        self._reset: Reset | None = None  # taken, and the state not yet loaded anew

    @property
    def status(self) -> Status | None:
        """Where the follower stands; None before the state is loaded."""
        return None if self._follower is None else self._follower.status

    @property
    def counters(self) -> Counters:
        """What the follower went through."""
        return Counters() if self._follower is None else self._follower.counters

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Followed:
        follower = await self._ready()
        if self._reset is not None:  # who waited for the load was cancelled
            return await self._reloaded(self._reset)
        async for item in follower:
            if isinstance(item, Reset):
                self._reset = item
                return await self._reloaded(item)
            # After a reset to before the state's seq, what the state holds comes once more.
            if item.seq > self.state.seq:
                apply(self.state, item)
                return item
        raise StopAsyncIteration

    async def until(self, reached: Callable[[State], bool]) -> State:
        """Follow until `reached(state)`; return the state. Raises EOFError when the session ends
        before.
        """
        await self._ready()
        while not reached(self.state):
            try:
                await anext(self)
            except StopAsyncIteration:
                raise EOFError("the session ended before that") from None
        return self.state

    async def __aenter__(self) -> Self:
        await self._ready()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop following; the state stays as it is."""
        if self._follower is not None:
            await self._follower.aclose()

    def cut(self) -> None:
        """Break the connection as a network would; the state goes on from where it is."""
        if self._follower is not None:
            self._follower.cut()

    async def _ready(self) -> Follower:
        if self._follower is None:
            await self._reload(0)
            self._follower = self._follow(self.state.seq)
        return self._follower

    async def _reloaded(self, reset: Reset) -> Reset:
        await self._reload(reset.seq)
        self._reset = None
        return reset

    async def _reload(self, least: int) -> None:
        """Load the state at the head, which is not before `least`."""
        for _ in range(_LOADS_MAX):
            try:
                state = from_plain(await self._load())
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise AnswerInvalid(self._gateway, f"no state of ours: {error}") from error
            if state.seq >= least:
                self.state = state
                return
        raise AnswerInvalid(self._gateway, f"its stream goes on after {least}, its state does not")
