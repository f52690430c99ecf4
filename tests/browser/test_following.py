"""A page that follows a session shows what the gateway says, whatever becomes of its connection."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.console import Console
from tests.browser.watched import Watched
from tests.e2e.browser import CuttingProxy
from tests.e2e.stack import Stack, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.postgres, pytest.mark.redis]

CUTS = 5


@pytest.fixture
def proxy(stack: Stack) -> Iterator[CuttingProxy]:
    """A way to the first gateway that can be cut."""
    proxy = CuttingProxy(*address(stack.gateways[0]))
    yield proxy
    proxy.close()


def address(url: str) -> tuple[str, int]:
    """Return the host and port of a gateway."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def state_of(stack: Stack, session: str) -> dict[str, Any]:
    """Return what the gateway makes of a session's log."""
    return dict(stack.get(f"/v1/sessions/{session}/state"))


# A dozen faults, each looked at until the page has recovered: half a minute, or several on a busy machine.
@pytest.mark.timeout(300)
def test_a_page_that_is_cut_off_five_times_killed_reloaded_and_asleep_has_the_gateways_state(
    stack: Stack, watched: Callable[..., Watched], proxy: CuttingProxy
) -> None:
    origin = f"http://127.0.0.1:{proxy.port}"
    window = watched()
    console = Console(window.page(), origin).sessions()
    session = console.start("team", requirement="a todo list")
    expect(console.conversation.get_by_text("offline demo model").first).to_be_visible()
    # However slow this machine is, something goes on until the last fault.
    endless = stack.start("endless", "going on", session=session)["run_id"]

    def head() -> int:
        return int(stack.get(f"/v1/sessions/{session}")["head"])

    def log_grows() -> None:
        now = head()
        eventually("the log grows meanwhile", lambda: head() > now + 3)

    def live_again() -> None:
        eventually("the page is live again", lambda: console.connection() == "live")
        console.assert_same_as(stack, session)

    for cut in range(1, CUTS + 1):
        window.context.set_offline(True)
        # Chromium leaves open connections alone; a network that is gone doesn't.
        assert proxy.cut() >= 1
        eventually("the page notices", lambda: console.connection() == "reconnecting")
        log_grows()
        # It comes back to another gateway: none of them knows this page.
        proxy.retarget(*address(stack.gateways[cut % 2]))
        window.context.set_offline(False)
        live_again()
    assert console.counters()["resumes"] >= CUTS

    used = f"gateway-{CUTS % 2 + 1}"
    killed = stack.kill(used)
    eventually("the page notices", lambda: console.connection() != "live")
    stack.replaced(used, killed)
    eventually("the page is live again", lambda: console.connection() == "live", within_s=60)
    console.assert_same_as(stack, session)

    devtools = window.context.new_cdp_session(console.page)
    devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    log_grows()
    devtools.send("Page.setWebLifecycleState", {"state": "active"})
    live_again()

    console.page.reload()
    live_again()
    (team,) = (run for run in state_of(stack, session)["runs"] if run["workflow"] == "team")
    stack.ended(team["run_id"], within_s=90)
    assert stack.cancel(endless)["status"] == "cancelled"
    state = console.assert_same_as(stack, session)
    console.assert_compared_as_same()

    assert [run["status"] for run in state["runs"]] == ["completed", "cancelled"]
    expect(console.conversation.get_by_text("going on").last).to_be_visible()


def test_two_browsers_show_the_same_session_as_it_happens(
    stack: Stack, watched: Callable[..., Watched]
) -> None:
    first = Console(watched().page(), stack.gateways[0]).sessions()
    session = first.start("endless", value="going on")
    second = Console(watched().page(), stack.gateways[1]).session(session)
    for console in (first, second):
        expect(console.conversation.get_by_text("going on").nth(2)).to_be_visible()

    # What the one does, the other sees.
    second.page.get_by_role("button", name="Cancel run").click()
    dialog = second.page.get_by_role("dialog", name="Cancel the run?")
    dialog.get_by_role("button", name="Cancel the run").click()
    expect(first.conversation.get_by_text("cancelled", exact=True).last).to_be_visible()
    (run,) = stack.get(f"/v1/sessions/{session}")["runs"]
    stack.ended(run["run_id"])

    assert first.assert_same_as(stack, session) == second.assert_same_as(stack, session)


def test_a_finished_runs_stream_is_not_asked_for_again(console: Console, stack: Stack) -> None:
    """The browser's own EventSource, opened by the console's page: 204 is the end of it."""
    run = stack.start("ticker", {"events": 5, "interval_ms": 0})
    stack.ended(run["run_id"])
    console.session(run["session_id"])
    path = f"/v1/runs/{run['run_id']}/stream"
    asked: list[int] = []
    console.page.on(
        "response", lambda answer: asked.append(answer.status) if path in answer.url else None
    )

    seen = console.page.evaluate(
        """path => new Promise((resolve) => {
            const source = new EventSource(path);
            const seen = [];
            source.onmessage = (event) => seen.push(JSON.parse(event.data).type);
            source.onerror = () => { if (source.readyState === EventSource.CLOSED) resolve(seen); };
        })""",
        path,
    )

    assert seen.count("message.delta") == 5
    assert seen[-1] == "run.completed"
    assert asked == [200, 204]
