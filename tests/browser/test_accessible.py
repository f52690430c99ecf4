"""axe finds nothing serious on any page, in either theme, on a desk or on a phone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.console import Console, asked
from tests.browser.watched import Watched
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.postgres, pytest.mark.redis]

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}

RUN_AXE = """
async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}
"""


@pytest.fixture(scope="module")
def session(stack: Stack) -> str:
    """A session with a bit of everything, which waits for a person."""
    run = stack.start("report", {"topic": "event logs"})
    asked(stack, run["session_id"])
    return str(run["session_id"])


@pytest.fixture(params=["dark", "light"])
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def assert_accessible(page: Page, what: str) -> None:
    """Scan what is shown; nothing serious may be found."""
    # Through the debugger: the page's own policy lets nobody add a script.
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    # Colours on their way are no colours to judge.
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => 0)))")
    found = page.evaluate(RUN_AXE)
    assert not found, f"{what}: {json.dumps(found, indent=1)}"


def without_motion(watched: Callable[..., Watched], theme: str, place: dict[str, Any]) -> Page:
    """Open a page that stands still."""
    return watched(color_scheme=theme, reduced_motion="reduce", **place).page()


@pytest.mark.parametrize("place", [DESK, PHONE], ids=["desk", "phone"])
def test_the_list_and_its_dialogs(
    stack: Stack, watched: Callable[..., Watched], session: str, theme: str, place: dict[str, Any]
) -> None:
    page = without_motion(watched, theme, place)
    Console(page, stack.url).sessions()
    expect(page.get_by_text("report").first).to_be_visible()
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert_accessible(page, "the list")

    page.get_by_role("button", name="Start a run").first.click()
    dialog = page.get_by_role("dialog", name="Start a run")
    dialog.get_by_label("Workflow").select_option("report")
    expect(dialog.get_by_label("Topic")).to_be_visible()
    assert_accessible(page, "the start form")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    page.get_by_role("button", name=f"Erase session {session}").click()
    assert_accessible(page, "the question before erasing")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert_accessible(page, "the keys")


@pytest.mark.parametrize("place", [DESK, PHONE], ids=["desk", "phone"])
def test_a_session_in_all_its_parts(
    stack: Stack, watched: Callable[..., Watched], session: str, theme: str, place: dict[str, Any]
) -> None:
    page = without_motion(watched, theme, place)
    console = Console(page, stack.url).session(session)
    parts = ["Timeline", "Events", "Proof"]
    if place is PHONE:
        parts.insert(0, "Conversation")
    for part in parts:
        panel = console.tab(part)
        if part == "Events":
            panel.get_by_role("listbox").get_by_role("option").last.click()
        assert_accessible(page, part)
        # A page that scrolls sideways is one that can't be read on a phone.
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), part


def test_a_replay_and_a_sessions_dialogs(
    stack: Stack, watched: Callable[..., Watched], session: str, theme: str
) -> None:
    page = without_motion(watched, theme, DESK)
    console = Console(page, stack.url).session(session, "#seq=40")
    expect(page.get_by_text("as of event 40")).to_be_visible()
    assert_accessible(page, "a replay")
    page.keyboard.press("l")
    for button, dialog in (
        ("New run", "Start a run in this session"),
        ("Cancel run", "Cancel the run?"),
        ("Erase this session", "Erase this session?"),
    ):
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_role("dialog", name=dialog)).to_be_visible()
        assert_accessible(page, dialog)
        page.keyboard.press("Escape")
    assert console.page is page


def test_what_is_not_there_is_told_accessibly(
    stack: Stack, watched: Callable[..., Watched], theme: str
) -> None:
    page = without_motion(watched, theme, DESK)
    page.goto(f"{stack.url}/console/sessions/ses_never_was")
    expect(page.get_by_text("No such session")).to_be_visible()
    assert_accessible(page, "a session that isn't there")
    page.goto(f"{stack.url}/console/nowhere/at/all")
    assert_accessible(page, "a page that isn't there")
