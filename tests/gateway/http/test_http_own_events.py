"""An application's own events, as they are asked for over HTTP."""

from typing import Any

import pytest

from holdfast.events import desk_memory
from tests.gateway.http.conftest import Served

PAID: dict[str, Any] = {"type": "custom.order.paid", "data": {"amount": 12}}


# protocol P19
async def test_an_own_event_is_accepted_with_the_position_to_follow(served: Served):
    session_id, _ = await served.session()

    response = await served.client.post(f"/v1/sessions/{session_id}/events", json=PAID)

    assert response.status_code == 202
    assert response.json() == {"session_id": session_id, "after": 1}


async def test_the_same_request_again_gets_the_same_answer(served: Served):
    session_id, _ = await served.session()
    path, once = f"/v1/sessions/{session_id}/events", {"Idempotency-Key": "order-7"}

    first = await served.client.post(path, json=PAID, headers=once)
    again = await served.client.post(path, json=PAID, headers=once)
    other = await served.client.post(path, json=PAID | {"data": {}}, headers=once)

    assert (again.status_code, again.json()) == (202, first.json())
    assert other.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"type": "run.completed", "data": {}},
        {"type": "custom", "data": {}},
        {"type": "custom.", "data": {}},
        {"type": "custom.Order", "data": {}},
        {"type": "custom." + "x" * 64, "data": {}},
        {"type": "custom.x", "data": []},
        {"type": "custom.x", "data": {"a": "x" * 70_000}},
        {"type": "custom.x", "more": 1},
        {"data": {}},
    ],
)
async def test_what_is_no_own_event_is_refused(served: Served, body: dict[str, Any]):
    session_id, _ = await served.session()

    response = await served.client.post(f"/v1/sessions/{session_id}/events", json=body)

    assert response.status_code == 422


async def test_an_unknown_session_is_unknown(served: Served):
    response = await served.client.post("/v1/sessions/nobody/events", json=PAID)

    assert response.status_code == 404


async def test_who_asks_for_more_events_than_may_wait_is_told_to_slow_down(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(desk_memory, "OPEN_EMITS_MAX", 1)
    session_id, _ = await served.session()
    path = f"/v1/sessions/{session_id}/events"
    await served.client.post(path, json=PAID)

    response = await served.client.post(path, json=PAID)

    assert (response.status_code, response.json()["code"]) == (429, "too-many-open-events")
    assert int(response.headers["retry-after"]) >= 1
