"""What is asked when an application publishes an event of its own."""

import pytest

from holdfast.events import desk_memory, desk_postgres, sessions_postgres
from holdfast.events.catalog import SessionErased, SessionExpired
from holdfast.events.commands import CommandKind
from holdfast.events.errors import KeyReused, SessionGone, SessionUnknown, TooManyEvents
from holdfast.events.store import (
    Idempotency,
    OwnEvent,
    SessionChange,
    SessionStatus,
    Store,
)
from tests.factories import TENANT, ask_run, delta, owned_session

PAID = OwnEvent(type="custom.order.paid", data={"amount": 12}, user_id="ann")


async def test_an_own_event_is_a_command_to_the_owner(store: Store):
    owner = await owned_session(store)

    info = await store.desk.emit(TENANT, "s", PAID)

    [command] = await owner.pending()
    assert info.head == 1
    assert (command.kind, command.run_id) == (CommandKind.EMIT, None)
    assert command.body == {"type": "custom.order.paid", "data": {"amount": 12}, "user_id": "ann"}


async def test_the_same_request_again_asks_nothing_and_answers_the_same(store: Store):
    owner = await owned_session(store)
    once = Idempotency(key="k", request_hash=b"1")
    first = await store.desk.emit(TENANT, "s", PAID, idempotency=once)
    await owner.append(delta())

    again = await store.desk.emit(TENANT, "s", PAID, idempotency=once)

    assert (first.head, again.head) == (1, 1)
    assert len(await owner.pending()) == 1
    with pytest.raises(KeyReused):
        await store.desk.emit(
            TENANT, "s", PAID, idempotency=Idempotency(key="k", request_hash=b"2")
        )


async def test_a_session_that_is_over_takes_no_own_events(store: Store):
    owner = await owned_session(store)
    await store.desk.erase(TENANT, "s")
    with pytest.raises(SessionGone, match="being erased"):
        await store.desk.emit(TENANT, "s", PAID)
    erased = SessionChange(SessionStatus.ERASED, erase=True)
    await owner.append(SessionErased(erased_through=1), effects=[erased])
    with pytest.raises(SessionGone, match="erased"):
        await store.desk.emit(TENANT, "s", PAID)


async def test_an_expired_session_takes_no_own_events(store: Store):
    owner = await owned_session(store)
    await owner.append(SessionExpired(), effects=[SessionChange(SessionStatus.EXPIRED)])

    with pytest.raises(SessionGone, match="expired"):
        await store.desk.emit(TENANT, "s", PAID)


async def test_another_tenants_session_is_unknown(store: Store):
    await owned_session(store)

    with pytest.raises(SessionUnknown):
        await store.desk.emit("other", "s", PAID)


async def test_only_so_many_events_wait_for_an_owner(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A session without a worker would grow without end, and its first owner would work for hours."""
    for module in (desk_memory, desk_postgres, sessions_postgres):
        monkeypatch.setattr(module, "OPEN_EMITS_MAX", 3)
    owner = await owned_session(store)
    await owned_session(store, "other")
    for _ in range(3):
        await store.desk.emit(TENANT, "s", PAID)

    with pytest.raises(TooManyEvents):
        await store.desk.emit(TENANT, "s", PAID)

    await store.desk.emit(TENANT, "other", PAID)
    await ask_run(store)
    await owner.settle()
    await store.desk.emit(TENANT, "s", PAID)
