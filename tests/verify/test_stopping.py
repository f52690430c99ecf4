"""`holdfast verify` is told to stop, or needs credentials: what it says then, and what it leaves behind."""

import json
import signal
import subprocess
import sys

import pytest

from tests.client.scripted import Reply, Request, in_thread
from tests.e2e.stack import eventually
from tests.verify import lying

pytestmark = pytest.mark.e2e


def start(url: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "holdfast.cli", "verify", "--url", url, "--seed", "1"),
            *("--clients", "10", "--churn", "1", *words),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def under_way(deployment: lying.Deployment) -> bool:
    return any(len(log) > 2 * lying.ABOUT for log in dict(deployment.logs).values())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_it_reports_on_what_it_saw_and_cleans_up(number: signal.Signals, status: int):
    deployment = lying.Deployment()
    with in_thread(deployment) as server:
        process = start(server.url, "--duration", "60s", "--json")
        eventually("runs are under way", lambda: under_way(deployment))
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert process.returncode == status, out + err
    said = json.loads(out)
    assert (said["ok"], said["violations"], said["stopped_by"]) == (True, [], number.name)
    assert said["delivered"] > lying.ABOUT
    assert said["seconds"] < 30
    assert f"{number.name}: stopped" in err
    assert deployment.erased == list(deployment.logs)
    assert all(run["status"] != "running" for run in deployment.runs.values())


def test_stopped_it_still_names_what_was_broken():
    deployment = lying.Deployment(lying.repeats)
    with in_thread(deployment) as server:
        process = start(server.url, "--duration", "60s", "--json")
        eventually("runs are under way", lambda: under_way(deployment))
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 143, out + err
    assert "I3" in {found["invariant"] for found in json.loads(out)["violations"]}


class Silent(lying.Deployment):
    """Its sessions are made, and it never says so."""

    async def __call__(self, request: Request, reply: Reply) -> None:
        if (request.method, request.path) == ("POST", "/v1/sessions"):
            self.logs.setdefault(request.json["session_id"], [])
            await reply.gone()
            return
        await super().__call__(request, reply)


def test_stopped_before_anything_is_to_be_reported_it_cleans_up_all_the_same():
    deployment = Silent()
    with in_thread(deployment) as server:
        process = start(server.url, "--duration", "60s")
        eventually("a session is being made", lambda: bool(deployment.logs))
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 143, out + err
    assert "before anything was checked" in err
    assert "Traceback" not in err
    assert deployment.erased == list(deployment.logs)


class Stuck(lying.Deployment):
    """Its pages never come: a report waits for them."""

    async def __call__(self, request: Request, reply: Reply) -> None:
        if request.path.endswith("/events"):
            await reply.gone()
            return
        await super().__call__(request, reply)


def test_a_second_signal_leaves_the_report_out_and_nothing_behind():
    deployment = Stuck()
    with in_thread(deployment) as server:
        process = start(server.url, "--duration", "60s")
        eventually("runs are under way", lambda: under_way(deployment))
        process.send_signal(signal.SIGTERM)
        eventually(
            "the first is acted upon",
            lambda: all(run["status"] != "running" for run in list(deployment.runs.values())),
        )
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 143, out + err
    assert out == ""
    assert "erased" in err
    assert "Traceback" not in err
    assert deployment.erased == list(deployment.logs)


class Guarded(lying.Deployment):
    """Answers who says the word, on every request."""

    turned_away = 0

    async def __call__(self, request: Request, reply: Reply) -> None:
        if request.headers.get("authorization") != "Bearer x:y" or "x-team" not in request.headers:
            self.turned_away += 1
            await reply.problem(401, "unauthorized", "who are you?")
            return
        await super().__call__(request, reply)


def test_headers_are_sent_with_every_request_pages_streams_and_gauges():
    deployment = Guarded()
    with in_thread(deployment) as server:
        process = start(
            server.url, "--duration", "1.5s", "--json", "--alone",
            "--header", "Authorization: Bearer x:y", "--header", "X-Team: a b",
        )  # fmt: skip
        out, err = process.communicate(timeout=60)

    assert process.returncode == 0, out + err
    assert json.loads(out)["delivered"] > 20
    assert deployment.turned_away == 0


@pytest.mark.parametrize(
    "line",
    ["nonsense", "X: a\nY: b", "X Y: a", ": a", "X:", "Last-Event-ID: 5", "host: x", "X: \u00e9"],
)
def test_what_is_no_header_of_the_callers_is_bad_usage(line: str):
    process = start("http://127.0.0.1:1", "--header", line)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 2, err
    assert "header" in err
    assert "Traceback" not in err
