"""A pool of connections to Postgres that lends what was just given back without another look at it."""

from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

if TYPE_CHECKING:
    _Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )
else:
    _Pool = asyncpg.Pool
    Connection = asyncpg.Connection


class LendingPool(_Pool):
    """Keeps at hand what is given back in good order.

    To lend and to take back costs asyncpg's pool two tasks and two timers each time, 0.1 ms of what a short statement
    takes altogether. What is at hand counts as lent there: so whoever finds nothing at hand asks the pool, and while
    somebody does, what is given back goes to the pool.
    """

    def __init__(self, *args: Any, keeps: bool, **kwargs: Any) -> None:
        """`keeps` is False where others' code runs on the connections: then the pool puts each in order, every time."""
        super().__init__(*args, **kwargs)
        self._keeps = keeps
        self._at_hand: list[Connection] = []
        self._asking = 0

    async def lend(self, *, timeout: float) -> Connection:
        """Return a connection, to be given back. Raises TimeoutError when none is free for `timeout` seconds."""
        while self._at_hand:
            connection = self._at_hand.pop()
            if _alive(connection):
                return connection
            await self.release(connection)  # pyright: ignore[reportArgumentType] - it is lent by the pool
        self._asking += 1
        try:
            return await self.acquire(timeout=timeout)
        finally:
            self._asking -= 1

    async def give_back(self, connection: Connection, *, in_order: bool) -> None:
        """Take a connection back; one that is not `in_order` is the pool's to look at."""
        if (
            in_order
            and self._keeps
            and not self._asking
            and not self.is_closing()
            and _alive(connection)
            and not connection.is_in_transaction()
        ):
            self._at_hand.append(connection)
        else:
            await self.release(connection)  # pyright: ignore[reportArgumentType]

    async def close(self) -> None:
        """End all connections, when those that are lent have come back."""
        while self._at_hand:
            await self.release(self._at_hand.pop())  # pyright: ignore[reportArgumentType]
        await super().close()


def _alive(connection: Connection) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False  # its end has been seen: the pool has it back
