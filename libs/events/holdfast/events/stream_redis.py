"""The stream over Redis 6.2 or newer, or Valkey.

hf:<log>:{<session>}:events   a stream: entry <seq>-0 with t(ype), r(un id), b(ody), in this order
hf:<log>:{<session>}:wake     a channel: the new head, or the events themselves (see `stream_message`)
hf:<log>:work                 a channel: a session that something was asked of, in decimal
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import islice
from typing import Any

import structlog
from redis.asyncio import Redis

from holdfast.events.clock import Clock, SystemClock
from holdfast.events.errors import StreamUnavailable
from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import ACTIVE_TTL_S, REST_TTL_S, News, Published
from holdfast.events.stream_batches import calls, entries_to_keep, newest_call
from holdfast.events.stream_message import version_for
from holdfast.events.stream_redis_link import (
    PATIENCE,
    Names,
    Patience,
    command_pool,
    is_wrong_type,
    publishing_connection,
    pubsub_connection,
    stream_errors,
)
from holdfast.events.stream_redis_scripts import Argument, Call, Caller, Script
from holdfast.events.stream_redis_trips import DriverTrips, LineTrips
from holdfast.events.stream_redis_wakes import RedisHints, RedisWakes

# Windows in one XREAD: 1,000 of them keep Redis 0.3 ms, and a gateway with more wakes in turns.
READ_WINDOWS_MAX = 1_000

log = structlog.get_logger("holdfast.stream")

_REST_TTL_MS = REST_TTL_S * 1_000
_ACTIVE_TTL_MS = ACTIVE_TTL_S * 1_000


class RedisStream:
    """Publisher over a connection of its own, Window over a small pool; `wakes` and `hints` have a connection each.

    Opening connects to nothing: a Redis that is away is noticed by the first call, and found by
    itself when it is back.
    """

    def __init__(
        self, url: str, *, log_id: str, patience: Patience, clock: Clock, chance: random.Random
    ) -> None:
        self._url = url
        self._names = Names(log_id)
        self._patience = patience
        self._clock = clock
        self._chance = chance
        self._publish = Script("publish.lua")
        self._rebase = Script("rebase.lua")
        self._erase = Script("erase.lua")
        self._pool = command_pool(url, patience)
        self._client = Redis(connection_pool=self._pool)
        # The answer as it came: redis-py would make a dict of every entry.
        self._client.set_response_callback("XREAD", _as_it_came)
        self._trips = LineTrips(
            partial(publishing_connection, url, patience),
            otherwise=DriverTrips(self._client, answer_s=patience.answer_s),
            answer_s=patience.answer_s,
        )
        self._caller = Caller(self._trips)
        self._ears: list[RedisWakes | RedisHints] = []
        self._closing = AsyncExitStack()
        self._closing.push_async_callback(self._pool.aclose)
        self._closing.push_async_callback(self._trips.close)
        self._closing.push_async_callback(self._caller.close)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        log_id: str,
        patience: Patience = PATIENCE,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> "RedisStream":
        """Return the stream of the log `log_id` on the Redis at `url`, without connecting to it.

        Raises ValueError for a URL that is none of redis://, rediss:// and unix://.
        """
        return cls(
            url,
            log_id=log_id,
            patience=patience,
            clock=clock or SystemClock(),
            chance=chance or random.Random(),
        )

    def wakes(self) -> RedisWakes:
        """Return the wake-ups of sessions yet to be watched; closed with the stream."""
        wakes = RedisWakes(
            partial(pubsub_connection, self._url, self._patience),
            self._names,
            patience=self._patience,
            clock=self._clock,
            chance=self._chance,
        )
        self._ears.append(wakes)
        self._closing.push_async_callback(wakes.close)
        return wakes

    def hints(self) -> RedisHints:
        """Return the ear for `hint_work`; closed with the stream."""
        hints = RedisHints(
            partial(pubsub_connection, self._url, self._patience),
            self._names,
            patience=self._patience,
            clock=self._clock,
            chance=self._chance,
        )
        self._ears.append(hints)
        self._closing.push_async_callback(hints.close)
        return hints

    @property
    def connections(self) -> int:
        """How many connections are open now: those for commands, the publisher's, and those that hear."""
        # The pool's own counts are of objects, connected or not.
        made: set[Any] = set(self._pool._available_connections)  # pyright: ignore[reportPrivateUsage]
        made |= self._pool._in_use_connections  # pyright: ignore[reportPrivateUsage]
        heard = sum(ear.connected for ear in self._ears)
        return sum(one.is_connected for one in made) + self._trips.connected + heard

    async def publish(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool = False
    ) -> Published:
        """Append contiguous, committed events to the window; see Publisher.

        Many events are several calls. One that fails leaves a prefix, which calling again
        completes. Raises ValueError for events with a hole between them.
        """
        outcome = Published.DUP
        # None at all is one call too: it lets the window expire, or keeps it.
        batches = calls(events) or [()]
        for batch in batches:
            call = self._publishing(session, batch, at_rest=at_rest and batch is batches[-1])
            said = _outcome(await self._caller.call_one(call))
            if said is Published.GAP:
                return said
            if said is Published.OK:
                outcome = said
        return outcome

    async def publish_all(self, news: Sequence[News]) -> Sequence[Published | StreamUnavailable]:
        """Publish to many sessions at once; see Publisher. As many round trips as `publish` takes for one session."""
        wanted: list[tuple[int, Call]] = []
        larger: list[int] = []  # whose events take several calls, one after the other
        for place, one in enumerate(news):
            batches = calls(one.events) or [()]
            if len(batches) == 1:
                call = self._publishing(one.session, batches[0], at_rest=one.at_rest)
                wanted.append((place, call))
            else:
                larger.append(place)
        together = self._caller.call_all([call for _, call in wanted])
        found: dict[int, Published | StreamUnavailable] = {}
        if larger:
            # Beside each other: a session with much to say holds up no other one's token.
            apart = asyncio.gather(*(self._publish_much(news[place]) for place in larger))
            said, more = await asyncio.gather(together, apart)
            found.update(zip(larger, more, strict=True))
        else:
            said = await together  # nearly always, and no task of its own
        for (place, _), answer in zip(wanted, said, strict=True):
            found[place] = answer if isinstance(answer, StreamUnavailable) else _outcome(answer)
        return [found[place] for place in range(len(news))]

    async def _publish_much(self, one: News) -> Published | StreamUnavailable:
        try:
            return await self.publish(one.session, one.events, at_rest=one.at_rest)
        except StreamUnavailable as error:
            return error

    def _publishing(self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool) -> Call:
        ttl = _REST_TTL_MS if at_rest else _ACTIVE_TTL_MS
        settings = (entries_to_keep(events), ttl, version_for(events))
        return self._call(self._publish, session, events, *settings)

    async def rebase(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool = False
    ) -> Published:
        """Begin the window anew with the newest of these that fit into one call; see Publisher."""
        if not events:
            return Published.DUP
        ttl = _REST_TTL_MS if at_rest else _ACTIVE_TTL_MS
        call = self._call(self._rebase, session, newest_call(events), ttl)
        return _outcome(await self._caller.call_one(call))

    def _call(
        self,
        script: Script,
        session: int,
        events: Sequence[RecordedEvent],
        *settings: Argument,
    ) -> Call:
        first = events[0].seq if events else 1
        arguments: list[Argument] = [self._names.wake(session), *settings, first]
        size = 0
        for event in events:
            arguments += (event.type, event.run_id or "", event.body)
            size += len(event.body)
        return Call(script, self._names.window(session), arguments, size)

    async def erase(self, session: int, last: RecordedEvent) -> Published:
        """Leave nothing in the window but the event that erased the session; see Publisher."""
        arguments: list[Argument] = [self._names.wake(session), _REST_TTL_MS, last.seq]
        arguments += (last.type, last.run_id or "", last.body)
        window = self._names.window(session)
        call = Call(self._erase, window, arguments, len(last.body))
        return _outcome(await self._caller.call_one(call))

    async def drop(self, session: int) -> None:
        """Delete the window. Raises StreamUnavailable."""
        with stream_errors():
            await self._client.unlink(self._names.window(session))

    async def hint_work(self, session: int) -> None:
        """Tell the workers that something was asked of a session. Raises StreamUnavailable."""
        with stream_errors():
            await self._client.publish(self._names.work, str(session))

    async def read(
        self, cursors: Mapping[int, int], *, limit: int
    ) -> Mapping[int, Sequence[RecordedEvent]]:
        """Return the entries after each cursor; see Window. Over READ_WINDOWS_MAX in turns.

        A window that holds what no publisher writes counts as empty: its readers have the store,
        and the other sessions their entries.
        """
        found: dict[int, Sequence[RecordedEvent]] = dict.fromkeys(cursors, ())
        rest = iter(cursors.items())
        while some := dict(islice(rest, READ_WINDOWS_MAX)):
            found.update(await self._read(some, limit))
        return found

    async def _read(
        self, cursors: Mapping[int, int], limit: int
    ) -> dict[int, Sequence[RecordedEvent]]:
        sessions = {self._names.window(session).encode(): session for session in cursors}
        # Explicit ids: "$" would skip what came between the last read and this one. No BLOCK: a
        # wake-up says when to read.
        ids = (f"{cursor}-0" for cursor in cursors.values())
        try:
            with stream_errors():
                answer: Any = await self._client.execute_command(
                    "XREAD", "COUNT", limit, "STREAMS", *sessions, *ids
                )
        except StreamUnavailable as error:
            if not is_wrong_type(error.__cause__):
                raise
            return await self._read_halves(cursors, limit)
        return {sessions[key]: self._events(key, entries) for key, entries in answer}

    async def _read_halves(
        self, cursors: Mapping[int, int], limit: int
    ) -> dict[int, Sequence[RecordedEvent]]:
        """Read all but the keys that are no stream: one such key fails the whole XREAD.

        Halving finds one among READ_WINDOWS_MAX in 20 calls, and takes no more than two for each
        window if all are strange. Asking for every TYPE first would cost each healthy read.
        """
        if len(cursors) == 1:
            self._strange(self._names.window(next(iter(cursors))), "it is no stream")
            return {}
        some, half = iter(cursors.items()), len(cursors) // 2
        found = await self._read(dict(islice(some, half)), limit)
        return found | await self._read(dict(some), limit)

    def _events(self, key: bytes, entries: Sequence[Any]) -> Sequence[RecordedEvent]:
        try:
            return [_event(entry) for entry in entries]
        except (ValueError, IndexError, TypeError) as error:
            self._strange(key.decode(), f"an entry is not ours: {error}")
            return ()

    def _strange(self, window: str, reason: str) -> None:
        # Rare by nature: the reader's cursor leaves a bad entry behind as soon as the store has
        # filled the gap, and nobody can publish to, hence wake for, a key that is no stream.
        log.warning("window.unreadable", window=window, reason=reason)

    async def close(self) -> None:
        """Close every connection, of wakes and hints too; calls that wait fail."""
        await self._closing.aclose()


_OUTCOMES = {outcome.value.encode(): outcome for outcome in Published}


def _outcome(said: bytes) -> Published:
    return _OUTCOMES[said]


def _event(entry: Sequence[Any]) -> RecordedEvent:
    id_, fields = entry
    # By place: the scripts write t, r, b first, and a newer version may add fields after them.
    run_id = fields[3].decode()
    return RecordedEvent(
        int(id_.removesuffix(b"-0")), fields[1].decode(), run_id or None, fields[5]
    )


def _as_it_came(response: Any, **kwargs: Any) -> Any:
    return response or ()
