"""`holdfast verify` against the real stack: while a gateway is killed, and when a person changes their mind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from holdfast.local.postgres_server import DATABASE, USER
from tests.e2e.stack import Stack, eventually, running
from tests.servers import make_server_dir

pytestmark = [pytest.mark.e2e, pytest.mark.fault, pytest.mark.postgres, pytest.mark.redis]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Two gateways and two workers that this module may kill."""
    root = make_server_dir()
    with running(root / "stack", "--gateways", "2", "--orchestrators", "2") as stack:
        yield stack
    shutil.rmtree(root, ignore_errors=True)


def start(stack: Stack, *words: str) -> subprocess.Popen[str]:
    urls = [word for url in stack.gateways for word in ("--url", url)]
    return subprocess.Popen(
        [sys.executable, "-m", "holdfast.cli", "verify", *urls, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def servers(stack: Stack) -> list[str]:
    password = (stack.data_dir / "postgres" / "password").read_text(encoding="ascii").strip()
    listed = stack.processes()
    database = f"postgresql://{USER}:{password}@{listed['postgres']['address']}/{DATABASE}"
    redis = f"redis://{listed['redis']['address']}"
    return ["--database-url", database, "--redis-url", redis]


def mine(stack: Stack) -> list[dict[str, Any]]:
    items = stack.get("/v1/sessions?limit=200")["items"]
    return [item for item in items if item["session_id"].startswith("verify-")]


def streams(url: str) -> float:
    text = httpx2.get(f"{url}/metrics", timeout=5).text
    found = re.search(r"^holdfast_sse_connections (\S+)$", text, re.M)
    assert found, text
    return float(found[1])


def test_a_killed_gateway_costs_no_event(stack: Stack):
    process = start(
        stack, "--duration", "8s", "--clients", "20", "--churn", "1", "--json", *servers(stack)
    )
    other = stack.gateways[1]
    eventually("clients are at the gateway", lambda: streams(other) >= 5)
    eventually("runs are under way", lambda: any(s["head"] > 20 for s in mine(stack)))
    stack.kill("gateway-2")

    out, err = process.communicate(timeout=90)

    assert process.returncode == 0, out + err
    said = json.loads(out)
    assert said["violations"] == []
    assert (said["gaps"], said["duplicates"]) == (0, 0)
    assert said["lost"] > 0, "the kill cut nobody off"
    assert said["delivered"] > 500
    assert said["latency"]["n"] > 100
    assert "windows in Redis" in said["checked"]
    eventually("all is erased", lambda: all(s["status"] == "erased" for s in mine(stack)))


def test_ctrl_c_leaves_nothing_behind(stack: Stack):
    before = len(mine(stack))
    process = start(stack, "--duration", "60s", "--clients", "5")
    eventually("its sessions are there", lambda: len(mine(stack)) > before)
    eventually("runs are under way", lambda: _open(stack)[0]["head"] > 20)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130, out + err
    assert "erased" in err
    eventually("all is erased", lambda: all(s["status"] == "erased" for s in mine(stack)))


def test_a_corrupted_row_in_postgres_is_found_past_gateways_that_know_no_better(
    stack: Stack, tmp_path: Path
):
    """One byte in the database, changed behind everybody's back after it was shown."""
    import psycopg

    words = servers(stack)
    process = start(stack, "--duration", "4s", "--clients", "10", "--json", *words)
    eventually("runs are under way", lambda: any(s["head"] > 20 for s in _open(stack)))
    session = next(s["session_id"] for s in _open(stack) if s["head"] > 20)
    with psycopg.connect(words[1], autocommit=True) as connection:
        connection.execute(
            """update events set body = convert_to(replace(convert_from(body, 'UTF8'), '"v":1', '"v":2'), 'UTF8')
                where seq = 9 and session = (select id from sessions where session_id = %s)""",
            (session,),
        )

    out, err = process.communicate(timeout=90)

    assert process.returncode == 1, out + err
    found = json.loads(out)["violations"]
    assert ("I5", session, 9) in [(v["invariant"], v["session"], v["seq"]) for v in found]


def _open(stack: Stack) -> list[dict[str, Any]]:
    return [item for item in mine(stack) if item["status"] == "active"]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--url", "http://127.0.0.1:1"], 3, "cannot reach"),
        (["--url", "ftp://x"], 2, "URL of a gateway"),
        (["--clients", "0"], 2, "clients"),
        (["--duration", "soon"], 2, "no duration"),
        (["--redis-url", "redis://x"], 2, "--database-url"),
        (["--workflow", "team"], 2, "--input"),
        (["--workflow", "team", "--input", "{"], 2, ""),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(words: list[str], status: int, says: str):
    done = subprocess.run(
        [sys.executable, "-m", "holdfast.cli", "verify", *words],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "HOLDFAST_URL": "http://127.0.0.1:1"},
    )  # fmt: skip

    assert done.returncode == status, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
