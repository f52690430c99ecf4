"""Wake-ups over Redis pub/sub: of watched sessions for a gateway, of work for a worker.

A gateway's are handed over as they come in. What it is too slow for stays in its socket, then in
Redis, which cuts a subscriber off that has 32 MB unread (`client-output-buffer-limit pubsub`, as
shipped): it comes back, and is told to look at all. Nothing here is needed to be right: a lost
wake-up costs time.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence

from redis.asyncio.connection import AbstractConnection

from holdfast.events.clock import Clock
from holdfast.events.errors import StreamUnavailable
from holdfast.events.stream import Hear, Wake
from holdfast.events.stream_inbox import Inbox, InboxClosed, Mailbox
from holdfast.events.stream_message import read_message
from holdfast.events.stream_redis_ear import Ear, Message
from holdfast.events.stream_redis_link import Names, Patience


class _Listening:
    """An ear and the task that runs it; starts when first used."""

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        names: Names,
        box: Inbox | Mailbox,
        *,
        patience: Patience,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._names = names
        self._box = box
        self._ear = Ear(
            make_connection,
            on_messages=self._heard,
            on_back=self._missed,
            patience=patience,
            clock=clock,
            chance=chance,
        )
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def connected(self) -> bool:
        """Whether messages are coming in."""
        return self._ear.connected

    async def close(self) -> None:
        """Close the connection and end every `listen`."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._box.close()

    def _heard(self, messages: Sequence[Message]) -> None:
        raise AssertionError  # each kind of listening knows its own messages

    def _missed(self) -> None:
        self._box.lose()

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
        self._box.close(None if task.cancelled() else task.exception())


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
        self._mailbox = Mailbox()
        super().__init__(
            make_connection, names, self._mailbox, patience=patience, clock=clock, chance=chance
        )
        self._sessions: dict[bytes, int] = {}
        self._hear: Hear | None = None

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

    async def listen(self, hear: Hear) -> None:
        """Have `hear` called with wake-ups, between the socket and the next read, until closed."""
        self._start()
        if wakes := self._mailbox.empty():
            hear(wakes)
        self._hear = hear
        try:
            await self._mailbox.until_closed()
        finally:
            self._hear = None

    def _heard(self, messages: Sequence[Message]) -> None:
        sessions = self._sessions
        # A message may still come of a channel that is not heard any more.
        wakes = [
            read_message(session, payload)
            for channel, payload in messages
            if (session := sessions.get(channel)) is not None
        ]
        if self._hear is not None:
            self._hear(wakes)
        else:
            for wake in wakes:
                self._mailbox.put(wake)

    def _missed(self) -> None:
        if self._hear is not None:
            self._hear([Wake(None)])
        else:
            self._mailbox.lose()


class RedisHints(_Listening):
    """The sessions that workers are told of, for one listener. A slow one makes Redis drop nothing."""

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        names: Names,
        *,
        patience: Patience,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._inbox = Inbox()
        super().__init__(
            make_connection, names, self._inbox, patience=patience, clock=clock, chance=chance
        )

    async def listen(self) -> AsyncIterator[int | None]:
        """Yield sessions with work until closed; None when hints may have been lost."""
        self._start()
        await self._ear.want(self._names.work.encode())
        while True:
            try:
                session = await self._inbox.take()
            except InboxClosed:
                return
            yield session

    def _heard(self, messages: Sequence[Message]) -> None:
        for _, payload in messages:
            if payload.isdigit():
                self._inbox.put(int(payload))
