"""One pub/sub connection that finds its way back, with everything it was subscribed to."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from holdfast.events.cancels import cancel_kept
from holdfast.events.clock import Clock, jittered
from holdfast.events.stream_redis_line import SILENT, Line
from holdfast.events.stream_redis_link import REDIS_ERRORS, Patience

# Channels in one SUBSCRIBE: 500 × 45 bytes = 22 KB, so that 10,000 sessions are 20 commands.
SUBSCRIBE_CHANNELS_MAX = 500

# Tries to come back are spread by half either way, so that many processes don't come at once.
BACK_OFF_SPREAD = 0.5

Message = tuple[bytes, bytes]
"""A channel, and what was said on it."""

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Ear:
    """Hears wanted channels over one connection, for ever.

    `on_messages` gets the messages that came in together; `on_back` is called whenever messages may
    have been missed and all subscriptions are in force again. Both are called as the bytes come in
    and must not wait.
    """

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        *,
        on_messages: Callable[[Sequence[Message]], None],
        on_back: Callable[[], None],
        patience: Patience,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._make_connection = make_connection
        self._on_messages = on_messages
        self._on_back = on_back
        self._patience = patience
        self._clock = clock
        self._chance = chance
        self._wanted: set[bytes] = set()
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        # Of the present connection: what was asked for, and how many answers to that are to come.
        self._asked: set[bytes] = set()
        self._answers_due: Counter[bytes] = Counter()
        self._changed: dict[bytes, None] = {}
        self._change = asyncio.Event()
        self._restoring: set[bytes] = set()  # wanted when it began, and not heard yet
        self._whole = False  # nothing is left to restore
        self._missed = False  # messages may have been missed since `on_back`
        self._away = False

    @property
    def connected(self) -> bool:
        """Whether every wanted channel is heard, apart from those being added."""
        return self._whole

    async def want(self, channel: bytes) -> None:
        """Hear a channel; returns when it is heard, or Redis is away. Needs `run` to be running."""
        self._wanted.add(channel)
        self._note_change(channel)
        if self._away or self._is_heard(channel):
            return
        waiting = self._waiting.get(channel)
        if waiting is None:
            waiting = self._waiting[channel] = asyncio.get_running_loop().create_future()
        # Shielded: others may wait for the same channel.
        await asyncio.shield(waiting)

    def forget(self, channel: bytes) -> None:
        """Stop hearing a channel. A message that is on its way may still come."""
        self._wanted.discard(channel)
        self._note_change(channel)
        if waiting := self._waiting.pop(channel, None):
            _resolve(waiting)
        self._restored(channel)

    def fall_silent(self) -> None:
        """Count as away, and keep nobody waiting; for the end of a connection, or of `run`."""
        self._away = self._missed = True
        self._whole = False
        self._restoring.clear()
        self._asked.clear()
        self._answers_due.clear()
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            _resolve(future)

    async def run(self) -> None:
        """Hear until cancelled."""
        back_off = self._patience.back_off_min_s
        while True:
            connection = self._make_connection()
            try:
                await self._hear_over(connection)
            except* REDIS_ERRORS as errors:
                if not self._away:
                    reason = str(errors.exceptions[0])
                    _log.warning("stream.away", channels=len(self._wanted), reason=reason)
            except* Exception:  # noqa: BLE001  # logged, as ruff does not see here
                # A mistake of whoever hears: to hear nothing from then on would be a worse one.
                _log.exception("stream.ear_failed")
            finally:
                was_whole = self._whole
                self.fall_silent()
                await _close(connection)
            if was_whole:
                back_off = self._patience.back_off_min_s
            await self._clock.sleep(jittered(back_off, BACK_OFF_SPREAD, self._chance))
            back_off = min(2 * back_off, self._patience.back_off_max_s)

    async def _hear_over(self, connection: AbstractConnection) -> None:
        with cancel_kept():
            await connection.connect()
        if self._away:
            _log.info("stream.back", channels=len(self._wanted))
        self._away = False
        self._changed = dict.fromkeys(self._wanted)
        self._change.set()
        self._restoring = set(self._wanted)
        if not self._restoring:
            self._become_whole()
        # Before anything is asked: no answer is on its way yet.
        line = Line.take_over(connection, self._hear)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._speak(connection))
            tasks.create_task(self._listen(connection, line))

    async def _speak(self, connection: AbstractConnection) -> None:
        """Subscribe and unsubscribe in batches, and ask for signs of life.

        The only one that writes, so that commands never mix.
        """
        loop = asyncio.get_running_loop()
        next_ping = loop.time() + self._patience.ping_every_s
        while True:
            try:
                async with asyncio.timeout_at(next_ping):
                    await self._change.wait()
            except TimeoutError:
                next_ping = loop.time() + self._patience.ping_every_s
                await _send(connection, "PING")
                continue
            self._change.clear()
            changed, self._changed = self._changed, {}
            more = [c for c in changed if c in self._wanted and c not in self._asked]
            less = [c for c in changed if c not in self._wanted and c in self._asked]
            self._asked.update(more)
            self._asked.difference_update(less)
            # Before anything is sent: an answer can come while the rest is still being written.
            self._answers_due.update(more)
            self._answers_due.update(less)
            for command, channels in (("SUBSCRIBE", more), ("UNSUBSCRIBE", less)):
                for batch in _batched(channels):
                    await _send(connection, command, *batch)

    async def _listen(self, connection: AbstractConnection, line: Line | None) -> None:
        silence_s = self._patience.silence_s
        if line is not None:
            await line.until_lost(silence_s)
        while True:  # the driver's way
            said = await connection.read_response(timeout=silence_s)
            if said is None:
                raise RedisConnectionError(SILENT)
            self._hear([said])

    def _hear(self, replies: Sequence[Any]) -> None:
        messages: list[Message] = []
        wanted = self._wanted
        for said in replies:
            # Not a `match`: its class patterns cost more than all the rest of the way.
            if type(said) is list and len(said) == 3:
                kind, channel, payload = said
                if kind == b"message":
                    if channel in wanted:
                        messages.append((channel, payload))
                elif kind == b"subscribe" or kind == b"unsubscribe":
                    self._answered(channel)
            elif isinstance(said, Exception):
                raise said
            # else a PONG: any word is a sign of life
        if messages:
            self._on_messages(messages)

    def _answered(self, channel: bytes) -> None:
        # Of subscribe, unsubscribe, subscribe in a row only the third answer counts.
        self._answers_due[channel] -= 1
        if self._answers_due[channel] <= 0:
            del self._answers_due[channel]
            if channel in self._asked and (waiting := self._waiting.pop(channel, None)):
                _resolve(waiting)
            self._restored(channel)

    def _restored(self, channel: bytes) -> None:
        if channel in self._restoring:
            self._restoring.discard(channel)
            if not self._restoring:
                self._become_whole()

    def _become_whole(self) -> None:
        self._whole = True
        if self._missed:
            # Not before every subscription is in force: what is published from here on is heard,
            # and what was published before is found by looking.
            self._missed = False
            self._on_back()

    def _is_heard(self, channel: bytes) -> bool:
        return channel in self._asked and not self._answers_due[channel]

    def _note_change(self, channel: bytes) -> None:
        self._changed[channel] = None
        self._change.set()


def _batched(channels: Iterable[bytes]) -> Iterable[list[bytes]]:
    rest = iter(channels)
    while batch := list(islice(rest, SUBSCRIBE_CHANNELS_MAX)):
        yield batch


async def _send(connection: AbstractConnection, *command: str | bytes) -> None:
    if not connection.is_connected:
        # send_command would connect again by itself, to a server that knows of no subscription.
        raise RedisConnectionError("the connection is closed")
    with cancel_kept():
        await connection.send_command(*command, check_health=False)


async def _close(connection: AbstractConnection) -> None:
    with suppress(*REDIS_ERRORS):  # it is gone either way
        await connection.disconnect()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
