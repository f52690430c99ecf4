"""Connections to Redis: how long they wait, what they never do, and what their errors become.

They never repeat a command by themselves: whether a repetition is harmless is for the caller to
know (redis-py's own default is ten more tries of anything, XADD included).
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio.connection import (
    AbstractConnection,
    BlockingConnectionPool,
    Connection,
    parse_url,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from holdfast.events.cancels import cancel_kept
from holdfast.events.errors import StreamUnavailable

# Reads and hints of one process, each for a fifth of a millisecond. With the one that hears a gateway has four
# connections at most; a worker publishes over one of its own, and has five.
COMMAND_CONNECTIONS_MAX = 3

# Everything that a command or a connection can fail with. TimeoutError is an OSError.
REDIS_ERRORS = (RedisError, OSError)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long Redis may take before it counts as away."""

    # A connect is one round trip: a second is a lost SYN and its repetition.
    connect_s: float = 1.0

    # No command of ours blocks, and none takes more than milliseconds; 2 s is a Redis that forks,
    # swaps or is cut off.
    answer_s: float = 2.0

    # A quiet pub/sub connection is asked for a sign of life every 5 s, and given up after half as
    # long again without one: a reader looks at the store every 5 s anyway.
    ping_every_s: float = 5.0
    silence_s: float = 7.5

    # Between two tries to come back: first 50 ms (a restart of Redis), doubled up to 2 s.
    back_off_min_s: float = 0.05
    back_off_max_s: float = 2.0


PATIENCE = Patience()


class Names:
    """Names of keys and channels of one log. A session's share one hash tag: one cluster slot."""

    def __init__(self, log_id: str) -> None:
        # Eight characters tell apart the logs that ever share a Redis, and cost eight bytes a key.
        self._prefix = f"hf:{log_id[:8]}"
        self.work = f"{self._prefix}:work"

    def window(self, session: int) -> str:
        """The stream of a session's newest events."""
        return f"{self._prefix}:{{{session}}}:events"

    def wake(self, session: int) -> str:
        """The channel on which a session's readers are woken."""
        return f"{self._prefix}:{{{session}}}:wake"


def command_pool(url: str, patience: Patience) -> BlockingConnectionPool:
    """Return a pool for commands; connects when first used. Raises ValueError for a bad URL."""
    settings = _settings(url, patience, name="holdfast", read_timeout_s=patience.answer_s)
    return BlockingConnectionPool(
        **settings, max_connections=COMMAND_CONNECTIONS_MAX, timeout=patience.answer_s
    )


def publishing_connection(url: str, patience: Patience) -> AbstractConnection:
    """Return a connection of its own for publishing, not yet connected."""
    settings = _settings(url, patience, name="holdfast-publish", read_timeout_s=patience.answer_s)
    return _connection(settings)


def pubsub_connection(url: str, patience: Patience) -> AbstractConnection:
    """Return a connection of its own for subscriptions, not yet connected.

    Not redis-py's PubSub: that reconnects without a word, and a reader must know that wake-ups were
    lost.
    """
    settings = _settings(url, patience, name="holdfast-wakes", read_timeout_s=patience.silence_s)
    return _connection(settings)


def _connection(settings: dict[str, Any]) -> AbstractConnection:
    kind: type[AbstractConnection] = settings.pop("connection_class")
    return kind(**settings)


def _settings(url: str, patience: Patience, *, name: str, read_timeout_s: float) -> dict[str, Any]:
    # Ours come last: options of the URL may not bring back what we switched off.
    return {
        "connection_class": Connection,
        **parse_url(url),
        "socket_connect_timeout": patience.connect_s,
        "socket_timeout": read_timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_timeout": False,
        "retry_on_error": [],
        "health_check_interval": 0,
        "decode_responses": False,
        # 3 is redis-py's default and brings push frames and maintenance notifications; 2 is spoken
        # by every server and has one shape for each answer.
        "protocol": 2,
        "client_name": name,
    }


@contextmanager
def stream_errors() -> Generator[None]:
    """Turn the driver's errors into StreamUnavailable, and let no cancel be lost."""
    with cancel_kept():
        try:
            yield
        except REDIS_ERRORS as error:
            raise unavailable(error) from error


def unavailable(error: BaseException) -> StreamUnavailable:
    """Return what to raise `from` an error of the driver."""
    if isinstance(error, ResponseError):
        return StreamUnavailable(f"Redis refused: {error}")
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return StreamUnavailable(f"Redis did not answer in time: {error}")
    if isinstance(error, RedisConnectionError | OSError):
        return StreamUnavailable(f"Redis is away: {error}")
    return StreamUnavailable(f"Redis: {type(error).__name__}: {error}")


def is_wrong_type(error: BaseException | None) -> bool:
    """Tell whether Redis refused because a key holds something else than was asked for."""
    return isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE")
