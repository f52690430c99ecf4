"""`holdfast verify` against a gateway that lies about one event: exit 1, and the invariant's name."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.client.scripted import in_thread
from tests.verify import lying

pytestmark = pytest.mark.e2e


def verify(url: str, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "holdfast.cli", "verify", "--url", url, "--seed", "1"),
            *("--duration", "1.5s", "--clients", "10", "--churn", "1", *words),
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def report(url: str) -> tuple[int, dict[str, Any]]:
    status, out, err = verify(url, "--json")
    assert out.startswith("{"), err
    return status, json.loads(out)


def test_a_deployment_that_keeps_every_promise_is_believed():
    deployment = lying.Deployment()
    with in_thread(deployment) as server:
        status, said = report(server.url)

    assert (status, said["violations"]) == (0, [])
    assert said["ok"]
    assert said["delivered"] > 50
    assert said["resumed"] > 0
    assert said["cuts"] > 0
    assert deployment.erased == list(deployment.logs)


@pytest.mark.parametrize(
    ("lie", "invariant"),
    [
        (lying.drops, "I3"),
        (lying.repeats, "I3"),
        (lying.swaps_bytes, "I5"),
        (lying.mixes_sessions_up, "I12"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_lie_about_one_event_is_found_out_and_named(lie: lying.Lie, invariant: str):
    with in_thread(lying.Deployment(lie)) as server:
        status, said = report(server.url)

    assert status == 1
    assert not said["ok"]
    found = [one for one in said["violations"] if one["invariant"] == invariant]
    assert found, said["violations"]
    assert found[0]["seq"] == lying.ABOUT
    assert said["gaps"] == 0 or lie is lying.drops
    assert said["duplicates"] == 0 or lie is lying.repeats


def test_a_person_is_shown_the_witness():
    with in_thread(lying.Deployment(lying.drops)) as server:
        status, out, err = verify(server.url)

    assert status == 1, err
    assert re.search(r"^I3 client order: .* in session verify-\w+-1 at seq 7$", out, re.M)
    assert "asks http://127.0.0.1" in out
    assert "seed 1" in out
    assert err == "", "no progress on a pipe"
    assert "\x1b[" not in out
