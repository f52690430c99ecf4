"""The OpenAPI document is the truth: schemathesis asks a gateway for everything in it, and for what isn't."""

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import orjson
import pytest

from holdfast.events.fold import empty_state, to_plain
from holdfast.gateway.routes.state import StateView
from tests.fuzz.knobs import times
from tests.fuzz.raw_cases import ENDPOINTS
from tests.fuzz.target import target
from tests.gateway.http.conftest import Served

ROOT = Path(__file__).parents[2]
EXAMPLES = 15


async def _output(*command: str) -> tuple[int | None, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, cwd=ROOT, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output


@pytest.mark.fault
@pytest.mark.e2e
@pytest.mark.timeout(600)
async def test_the_gateway_answers_as_its_document_says():
    """Statuses, media types, bodies, each frame of a stream; valid requests are taken and invalid ones refused."""
    async with target(cut=True) as gateway:
        code, output = await _output(
            "schemathesis.cli",
            *("--config-file", "tests/fuzz/schemathesis.toml"),
            *("run", f"{gateway.url}/openapi.json", "--no-color", "--continue-on-failure"),
            *("--request-timeout", "5", "--max-examples", str(times(EXAMPLES))),
        )

    assert code == 0, output.decode()
    assert b"Tested: %d" % len(ENDPOINTS) in output


@pytest.mark.e2e
async def test_the_page_is_the_document_and_the_same_each_time():
    """`make schema` writes it."""
    code, output = await _output("holdfast.gateway.openapi")

    assert code == 0
    assert output == (ROOT / "docs/openapi.json").read_bytes()
    assert orjson.loads(output)["openapi"].startswith("3.1")


def test_the_state_that_is_described_is_the_fold_s():
    """Schemathesis can't see a field that stands in neither."""
    described = set(StateView.model_fields)

    assert described == {*to_plain(empty_state()), "min_seq"}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/sessions", "GET, POST"),
        ("/v1/sessions/s", "DELETE, GET"),
        ("/v1/runs/r/cancel", "POST"),
        ("/livez", "GET"),
    ],
)
async def test_a_wrong_method_is_answered_with_every_right_one(
    served: Served, path: str, methods: str
):
    for method in ("PUT", "OPTIONS", "TRACE"):
        response = await served.client.request(method, path)

        assert (response.status_code, response.headers["allow"]) == (405, methods)
        assert response.json()["code"] == "method-not-allowed"


async def test_a_wrong_method_with_a_body_is_a_wrong_method(served: Served):
    response = await served.client.request("PUT", "/v1/runs", json={})

    assert response.status_code == 405


@pytest.mark.parametrize("speed", ["0.123456789012345", "1e2", "000.5", "10.0"])
async def test_any_number_in_range_is_a_speed(served: Served, speed: str):
    await served.session("s")

    response = await served.client.get(f"/v1/sessions/s/replay?speed={speed}")

    assert response.status_code == 200


@pytest.mark.parametrize("speed", ["1_0", "%201", "nan", "inf", "1" * 25, "1e9", "-1", "", "0x1"])
async def test_anything_else_is_not(served: Served, speed: str):
    await served.session("s")

    response = await served.client.get(f"/v1/sessions/s/replay?speed={speed}")

    assert response.status_code == 400


@pytest.mark.parametrize(
    ("ttl_s", "status"), [("60.0", 201), ("60", 201), ("60.5", 422), ('"60"', 422), ("true", 422)]
)
async def test_a_whole_number_is_one_however_it_is_written(served: Served, ttl_s: str, status: int):
    response = await served.client.post(
        "/v1/sessions",
        content=f'{{"ttl_s": {ttl_s}}}',
        headers={"content-type": "application/json"},
    )

    assert response.status_code == status
