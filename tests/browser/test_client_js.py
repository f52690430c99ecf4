"""The JavaScript client in an application of another origin: it loses nothing, and neither does React's hook."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.watched import Watched
from tests.e2e.browser import CuttingProxy
from tests.e2e.stack import Stack, eventually
from tests.interop.pages import Pages

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.postgres, pytest.mark.redis]

ROOT = Path(__file__).parents[2]
FOLLOWER = Path(__file__).parent / "follower.jsx"


@pytest.fixture(scope="module")
def page_url(pages: Pages) -> str:
    """Where the application is, as its build makes it."""
    built = subprocess.run(
        [
            str(ROOT / "node_modules/.bin/esbuild"), str(FOLLOWER), "--bundle", "--format=esm",
            "--jsx=automatic", "--conditions=holdfast-source", "--log-level=error",
        ],
        env={**os.environ, "NODE_PATH": str(ROOT / "node_modules")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    inert = built.stdout.replace("</script", "<\\/script")
    html = '<!doctype html><meta charset="utf-8"><div id="root"></div>'
    return pages.put("follower", f'{html}<script type="module">{inert}</script>')


@pytest.fixture
def proxy(stack: Stack) -> Iterator[CuttingProxy]:
    """A way to the first gateway that can be cut."""
    gateway = urlsplit(stack.url)
    proxy = CuttingProxy(gateway.hostname or "", gateway.port or 0)
    yield proxy
    proxy.close()


def opened(page: Page, url: str, gateway: str, run: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """Open the application; return what asks it how it is."""
    wanted = f"gateway={quote(gateway, safe='')}&session={run['session_id']}&run={run['run_id']}"
    page.goto(f"{url}#{wanted}")
    return lambda: page.evaluate("follower()")


# Each fault is followed by a recovery, on a busy machine in its own time.
@pytest.mark.timeout(240)
def test_an_application_misses_nothing_through_cuts_sleep_and_a_dead_gateway(
    stack: Stack, watched: Callable[..., Watched], proxy: CuttingProxy, page_url: str
) -> None:
    run = stack.start("endless", "going on")
    session = run["session_id"]
    window = watched()
    page = window.page()
    look = opened(page, page_url, f"http://127.0.0.1:{proxy.port}", run)

    def live() -> bool:
        now = look()
        return now["status"] == now["hook"]["status"] == "live"

    def sees_more() -> None:
        seen = len(look()["seqs"])
        eventually("both are live", live, within_s=60)
        eventually("it sees more", lambda: len(look()["seqs"]) > seen + 3, within_s=60)

    sees_more()
    for _ in range(2):
        window.context.set_offline(True)
        assert proxy.cut() >= 2
        eventually("it notices", lambda: look()["status"] == "waiting")
        window.context.set_offline(False)
        sees_more()

    devtools = window.context.new_cdp_session(page)
    devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    head = int(stack.get(f"/v1/sessions/{session}")["head"])
    eventually("the log grows", lambda: stack.get(f"/v1/sessions/{session}")["head"] > head + 3)
    devtools.send("Page.setWebLifecycleState", {"state": "active"})
    sees_more()

    killed = stack.kill("gateway-1")
    stack.replaced("gateway-1", killed)
    sees_more()

    stack.cancel(run["run_id"])
    head = int(stack.get(f"/v1/sessions/{session}")["head"])
    eventually(
        "it has all", lambda: look()["hook"]["state"]["seq"] == look()["folded"]["seq"] == head
    )
    eventually("the run's stream has ended", lambda: look()["ending"])
    now = look()
    told = stack.get(f"/v1/sessions/{session}/state?at={head}")
    del told["min_seq"]

    assert now["seqs"] == list(range(1, head + 1))
    assert now["folded"] == told
    assert now["hook"]["state"] == told
    for counters in (now["counters"], now["hook"]["counters"]):
        assert counters["gaps"] == counters["duplicates"] == counters["resets"] == 0
        assert counters["resumes"] >= 3
    assert now["ending"] == "ended"
    assert now["ofRun"][-1] == "run.cancelled"
    expect(page.get_by_role("listitem").last).to_contain_text("going on")


def test_a_finished_runs_stream_is_asked_for_twice_and_never_again(
    stack: Stack, watched: Callable[..., Watched], page_url: str
) -> None:
    """Once for its events, once for the 204."""
    run = stack.start("ticker", {"events": 5, "interval_ms": 0})
    stack.ended(run["run_id"])
    window = watched()
    asked: list[int] = []
    page = window.page()
    page.on(
        "response",
        lambda answer: (
            asked.append(answer.status) if run["run_id"] in urlsplit(answer.url).path else None
        ),
    )
    look = opened(page, page_url, stack.url, run)

    eventually("its stream has ended", lambda: look()["ending"])

    assert look()["ofRun"].count("message.delta") == 5
    assert asked == [200, 204]
