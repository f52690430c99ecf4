"""What the driver says when a connection dies is trouble that passes, in whatever words it says it."""

import asyncpg
import pytest

from holdfast.events.errors import StoreUnavailable
from holdfast.events.pool_postgres import store_errors


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError(
            "cannot switch to state 15; another operation (2) is in progress"
        ),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_connection_that_died_in_any_way_is_a_store_that_is_away(error: Exception) -> None:
    with pytest.raises(StoreUnavailable), store_errors():
        raise error
