"""Priorities, limits of time, and what a run that waits waits for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.events.store import Idempotency, WorkflowInfo
from holdfast.gateway.routes import runs
from tests.gateway.http.conftest import Served


def pointers(response: Any) -> list[str]:
    return [error["pointer"] for error in response.json()["errors"]]


async def test_a_run_is_asked_for_with_a_priority_and_a_time_limit(served: Served):
    body = {"workflow": "free", "priority": -7.0, "timeout_s": 90}
    response = await served.client.post("/v1/runs", json=body)
    plain = await served.client.post("/v1/runs", json={"workflow": "free"})

    run = (await served.client.get(response.headers["location"])).json()
    other = (await served.client.get(plain.headers["location"])).json()

    assert (run["priority"], run["timeout_s"], run["held_by"]) == (-7, 90, None)
    assert (other["priority"], other["timeout_s"]) == (0, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", 101),
        ("priority", -101),
        ("priority", 0.5),
        ("priority", "1"),
        ("priority", None),
        ("timeout_s", 0),
        ("timeout_s", -1),
        ("timeout_s", 366 * 86_400 + 1),
        ("timeout_s", "60 s"),
        ("timeout_s", "60"),
        ("timeout_s", True),
    ],
)
async def test_a_priority_or_a_time_limit_out_of_bounds_is_refused(
    served: Served, field: str, value: Any
):
    response = await served.client.post("/v1/runs", json={"workflow": "free", field: value})

    assert response.status_code == 422
    assert pointers(response) == [f"/{field}"]


async def test_a_run_that_waits_tells_for_what(served: Served):
    limited = WorkflowInfo(name="free", version="1", input_schema=None, max_concurrent=1)
    await served.store.registry.announce("w", [limited])
    first = await served.client.post("/v1/runs", json={"workflow": "free"})
    [claim] = await served.store.claims.claim("w", workflows=["free"], lease_s=30, limit=1)
    assert claim.slot == first.json()["run_id"]
    second = await served.client.post("/v1/runs", json={"workflow": "free"})
    session_id, _ = await served.session()
    path = f"/v1/sessions/{session_id}/runs"
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    asked = [
        await served.client.post(path, json={"workflow": "free", "start_at": later}),
        await served.client.post(path, json={"workflow": "free", "priority": 1}),
        await served.client.post(path, json={"workflow": "free"}),
    ]

    shown = [
        (await served.client.get(answer.headers["location"])).json()["held_by"]
        for answer in (first, second, *asked)
    ]
    listed = (await served.client.get("/v1/workflows")).json()["items"]

    assert shown == [None, "workflow-limit", "time", "workflow-limit", "turn"]
    assert [w["max_concurrent"] for w in listed if w["name"] == "free"] == [1]


async def test_a_request_repeated_to_an_older_gateway_is_still_the_same(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    """While a deployment rolls: what the other version doesn't know is no part of what makes two requests the same."""
    hashed: list[Any] = []
    known = runs.idempotency

    def noted(key: str | None, *parts: Any) -> Idempotency | None:
        hashed.append(parts[-1])
        return known(key, *parts)

    monkeypatch.setattr(runs, "idempotency", noted)
    headers = {"idempotency-key": "k"}
    for body in ({}, {"priority": 0}, {"timeout_s": None}):
        answer = await served.client.post(
            "/v1/runs", json={"workflow": "free", **body}, headers=headers
        )
        assert answer.status_code == 202
    other = await served.client.post(
        "/v1/runs", json={"workflow": "free", "priority": 1}, headers=headers
    )

    first_release = {"workflow", "input", "on_busy", "start_at", "user_id"}
    assert [set(one) for one in hashed[:3]] == [first_release] * 3
    assert other.status_code == 422
