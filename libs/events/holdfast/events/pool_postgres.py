"""A pool of connections to Postgres, and the one place where the driver's errors become ours."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg
import orjson
import structlog

from holdfast.events.cancels import cancel_kept
from holdfast.events.errors import StoreBusy, StoreUnavailable
from holdfast.events.lending_postgres import Connection, LendingPool

Pool = LendingPool

Opened = TypeVar("Opened")

# A Postgres that is started together with a service is up within seconds; after a minute somebody should look.
START_WAIT_S = 60.0
START_RETRY_S = 1.0

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# The oldest that has what our SQL needs.
POSTGRES_MAJOR_MIN = 14

# All that one process opens: a gateway's pool; a worker's (5), its lease's (1), its checkpoints' (2); a subscriber's
# pool. `holdfast doctor` adds them up.
GATEWAY_CONNECTIONS = 6
WORKER_CONNECTIONS = 8
SUBSCRIBER_CONNECTIONS = 4

# asyncpg would close a connection after 50,000 queries: under load every few seconds, with a commit waiting behind the
# handshake each time. Ours keep nothing that grows.
QUERIES_MAX = 2**62

# Of a gateway's, for the head check and the heads of new feeds (each asks one question at a time, 1 to 5 ms) and for
# the probe: while thousands of clients come back, these wait for each other and for nobody else.
GATEWAY_RESERVED = 2

# Waiting longer for a free connection than this means that the database is the bottleneck: say so.
ACQUIRE_TIMEOUT_S = 2.0

# No statement of ours takes longer than milliseconds; one that does is stuck behind a lock or a full disk.
STATEMENT_TIMEOUT_S = 5.0
LOCK_TIMEOUT_S = 2.0
IDLE_IN_TRANSACTION_TIMEOUT_S = 10.0

# A server that keeps none of these because it says nothing at all is given up by ourselves, a while after it should
# have given up.
ANSWER_TIMEOUT_S = STATEMENT_TIMEOUT_S + 5.0


async def open_pool(
    database_url: str,
    *,
    application_name: str,
    pool_max: int,
    check: Callable[["Connection"], Coroutine[Any, Any, None]] | None = None,
    lends_out: bool = False,
) -> Pool:
    """Connect to Postgres. Raises StoreUnavailable.

    `check(connection)` is awaited for every new connection, before it is lent for the first time. `lends_out`: others'
    code runs on its connections; whatever that set, listens to or locked is undone when it gives one back.
    """
    with store_errors():
        return await LendingPool(
            database_url,
            keeps=not lends_out,
            connection_class=asyncpg.Connection,
            record_class=asyncpg.Record,
            loop=None,
            # No floor: the pool would log a stack for every try to restore it while Postgres is away.
            min_size=0,
            max_inactive_connection_lifetime=0,
            max_size=pool_max,
            max_queries=QUERIES_MAX,
            reset=None if lends_out else _nothing_to_reset,
            init=check,
            timeout=10,
            command_timeout=ANSWER_TIMEOUT_S,
            server_settings={
                "application_name": application_name,
                "statement_timeout": f"{STATEMENT_TIMEOUT_S:.0f}s",
                "lock_timeout": f"{LOCK_TIMEOUT_S:.0f}s",
                "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT_S:.0f}s",
            },
        )


async def reached(open_: Callable[[], Awaitable[Opened]]) -> Opened:
    """Return what `open_` opens: at a service's start, for a minute, it is tried again while Postgres isn't there.

    Raises what it raises, StoreUnavailable after that minute.
    """
    deadline = asyncio.get_running_loop().time() + START_WAIT_S
    while True:
        try:
            return await open_()
        except StoreUnavailable as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise
            log.warning("store.awaited", reason=str(error))
        await asyncio.sleep(START_RETRY_S)


async def _nothing_to_reset(_: object) -> None:
    """Give a connection back as it is.

    asyncpg would send `RESET ALL` and more, a second round trip after each call of the store. Nothing of ours sets,
    listens or holds a lock beyond its transaction; one that was left open is rolled back all the same.
    """


@asynccontextmanager
async def acquired(pool: Pool) -> AsyncGenerator[Connection]:
    """Lend a connection for a few statements; the driver's errors become StoreUnavailable, and no cancel is lost."""
    with cancel_kept(), store_errors():
        connection = await pool.lend(timeout=ACQUIRE_TIMEOUT_S)
        in_order = False
        try:
            yield connection
            in_order = True
        finally:
            await pool.give_back(connection, in_order=in_order)


# The statement may have been carried out: connection trouble, shutdown, timeouts, conflicts, full disks.
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # The driver lost track of a connection that died in the middle of an answer, and says so when it is given back:
    # that error takes the place of the one that tells why.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.PostgresIOError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
)


@contextmanager
def store_errors() -> Generator[None]:
    """Turn the driver's passing errors into StoreUnavailable; a broken rule of the schema passes as it is."""
    try:
        yield
    except asyncpg.LockNotAvailableError as error:
        # The server gave up while it waited, before anything could commit.
        raise StoreBusy(f"Postgres: {error}") from error
    except _UNAVAILABLE as error:
        raise StoreUnavailable(f"Postgres: {type(error).__name__}: {error}") from error


def storable(text: str) -> bool:
    """Tell whether Postgres can hold `text`: neither NUL nor half a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def json_text(value: Any) -> str:
    """Return `value` as text for a json parameter (not jsonb: that would change the caller's text)."""
    return orjson.dumps(value).decode()


def json_value(text: str | None) -> Any:
    """Return what a json column holds."""
    return None if text is None else orjson.loads(text)
