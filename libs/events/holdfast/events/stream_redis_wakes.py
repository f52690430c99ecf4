"""Wake-ups over Redis pub/sub: of watched sessions for a gateway, of work for a worker.

A background task reads and an inbox keeps the unread ones, so that a slow listener never makes
Redis drop the connection. Nothing here is needed to be right: a lost wake-up costs time.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable

from redis.asyncio.connection import AbstractConnection

from holdfast.events.clock import Clock
from holdfast.events.errors import StreamUnavailable
from holdfast.events.stream import Wake
from holdfast.events.stream_inbox import Inbox, InboxClosed
from holdfast.events.stream_redis_ear import Ear
from holdfast.events.stream_redis_link import Names, Patience


class _Listening:
    """An ear, its inbox and the task between them; starts when first used."""

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        names: Names,
        *,
        patience: Patience,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._names = names
        self._inbox = Inbox()
        self._ear = Ear(
            make_connection,
            on_message=self._heard,
            on_back=self._inbox.lose,
            patience=patience,
            clock=clock,
            chance=chance,
        )
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def connected(self) -> bool:
        """Whether wake-ups are coming in."""
        return self._ear.connected

    async def close(self) -> None:
        """Close the connection and end every `listen`."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._inbox.close()

    def _heard(self, channel: bytes, payload: bytes) -> None:
        raise AssertionError  # each kind of listening knows its own messages

    def _start(self) -> None:
        if self._closed:
            raise StreamUnavailable("the stream is closed")
        if self._task is None:
            self._task = asyncio.create_task(self._ear.run(), name="stream-ear")
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Not left to the task itself: one that is cancelled before its first step runs no line.
        self._ear.fall_silent()
        # Redis' own failures never end it: this is a mistake of ours, and the listener gets it.
        self._inbox.close(None if task.cancelled() else task.exception())


class RedisWakes(_Listening):
    """Wake-ups of watched sessions, for one listener."""

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        names: Names,
        *,
        patience: Patience,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        super().__init__(make_connection, names, patience=patience, clock=clock, chance=chance)
        self._sessions: dict[bytes, int] = {}

    async def watch(self, session: int) -> None:
        """Begin to get the session's wake-ups; returns when the subscription is in force, or Redis
        is away: then it is subscribed on the way back, and `Wake(None)` tells of that.
        """
        self._start()
        channel = self._names.wake(session).encode()
        self._sessions[channel] = session
        await self._ear.want(channel)

    async def unwatch(self, session: int) -> None:
        """Stop getting them."""
        channel = self._names.wake(session).encode()
        if self._sessions.pop(channel, None) is not None:
            self._ear.forget(channel)

    async def listen(self) -> AsyncIterator[Wake]:
        """Yield wake-ups until closed, each session once however often it woke in the meantime."""
        self._start()
        while True:
            try:
                wake = await self._inbox.take()
            except InboxClosed:
                return
            yield wake

    def _heard(self, channel: bytes, payload: bytes) -> None:
        session = self._sessions.get(channel)
        if session is not None:
            self._inbox.put(session, int(payload) if payload.isdigit() else None)


class RedisHints(_Listening):
    """The sessions that workers are told of, for one listener."""

    async def listen(self) -> AsyncIterator[int | None]:
        """Yield sessions with work until closed; None when hints may have been lost."""
        self._start()
        await self._ear.want(self._names.work.encode())
        while True:
            try:
                wake = await self._inbox.take()
            except InboxClosed:
                return
            yield wake.session

    def _heard(self, channel: bytes, payload: bytes) -> None:
        if payload.isdigit():
            self._inbox.put(int(payload))
