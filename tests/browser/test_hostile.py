"""Whatever agents, tools and models say is shown as text: nothing in it becomes an element, a request or a script."""

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.browser.console import Console, asked
from tests.browser.hostile import HOSTILE, MARKUP
from tests.browser.watched import Watched, violations
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.postgres, pytest.mark.redis]

# What must not be there, whoever made it: elements that act, handlers in attributes, links that run something.
PLANTED = """
() => [...document.querySelectorAll("*")].flatMap((element) => {
    const wrong = [];
    if (element.matches("iframe, object, embed, base, marquee, style, form[action], meta[http-equiv], #planted"))
        wrong.push(element.tagName);
    const assets = location.origin + "/console/assets/";
    if (element.tagName === "SCRIPT" && !element.src.startsWith(assets)) wrong.push("script");
    if (element.src && new URL(element.src).origin !== location.origin) wrong.push(element.src);
    for (const { name } of element.attributes) if (name.startsWith("on")) wrong.push(name);
    if (element.tagName === "A" && element.href) {
        const url = new URL(element.href);
        if (!["http:", "https:", "blob:"].includes(url.protocol)) wrong.push(element.href);
        if (url.origin !== location.origin && !element.relList.contains("noopener") &&
            !element.relList.contains("noreferrer")) wrong.push("opener: " + element.href);
    }
    return wrong;
})
"""

# Characters that act without being seen are shown by name: in no text and no label do they stand as themselves.
ACTING = """
() => {
    const acting = /[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]/;
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.data;
        if (acting.test(text)) found.push(walker.currentNode.parentElement.outerHTML.slice(0, 200));
    }
    for (const element of document.querySelectorAll("*"))
        for (const { name, value } of element.attributes)
            if (["title", "aria-label", "placeholder", "alt", "label"].includes(name) && acting.test(value))
                found.push(`${name} of ${element.outerHTML.slice(0, 200)}`);
    if (acting.test(document.title)) found.push("the title");
    return found;
}
"""


@pytest.fixture(scope="module")
def session(stack: Stack) -> str:
    """A session that says hostile things in every place, and asks a hostile question."""
    answer = httpx2.post(
        f"{stack.url}/v1/sessions", json={"metadata": {"title": HOSTILE[:400]}}, timeout=10
    )
    session = str(answer.json()["session_id"])
    stack.start("hostile", "anything", session=session)
    asked(stack, session)
    return session


@pytest.fixture
def desk(stack: Stack, watched: Callable[..., Watched]) -> "Desk":
    # Tall, so that the whole of it is looked at in a few steps.
    return Desk(watched(viewport={"width": 1280, "height": 1600}), stack)


class Desk:
    """A console and what must not happen in it."""

    def __init__(self, window: Watched, stack: Stack) -> None:
        self.window = window
        self.console = Console(window.page(), stack.url)
        self.page: Page = self.console.page
        self.stack = stack

    def assert_harmless(self) -> None:
        """Require that what is on the page is text and nothing but text."""
        assert self.page.evaluate("window.pwned") is None
        assert self.page.evaluate(PLANTED) == []
        assert self.page.evaluate(ACTING) == []
        assert violations(self.page) == []
        assert self.window.elsewhere(self.stack.url) == []


def test_a_session_that_says_hostile_things_shows_them_as_text(desk: Desk, session: str) -> None:
    console = desk.console.session(session)
    expect(
        console.conversation.get_by_text("<script>window.pwned = 1</script>").first
    ).to_be_visible()
    desk.assert_harmless()

    # Each row as it scrolls into view: a long list keeps only what is seen.
    scrolled = console.conversation.get_by_role("log")
    for _ in range(60):
        desk.page.mouse.move(*_centre(scrolled))
        desk.page.mouse.wheel(0, -1_200)
        if scrolled.evaluate("e => e.scrollTop") == 0:
            break
        desk.assert_harmless()
    desk.assert_harmless()


@pytest.mark.parametrize("tab", ["Timeline", "Events", "Proof"])
def test_every_part_of_the_page_is_harmless(desk: Desk, session: str, tab: str) -> None:
    panel = desk.console.session(session).tab(tab)
    expect(panel).to_be_visible()
    desk.assert_harmless()


def test_an_events_tree_and_its_wire_form_are_harmless(desk: Desk, session: str) -> None:
    log = desk.stack.get(f"/v1/sessions/{session}/events?limit=500")["items"]
    asks = next(event["seq"] for event in log if event["type"] == "input.requested")
    says = next(event["seq"] for event in log if event["type"] == "message.completed")
    console = desk.console.session(session)
    for seq in (asks, says):
        events = console.tab("Events")
        events.get_by_label("Text within events").fill("")
        events.get_by_label(re.compile("^Types or families")).fill(
            "input.requested" if seq == asks else "message.completed"
        )
        listed = events.get_by_role("listbox", name="Events")
        listed.get_by_role("option", name=re.compile(f"^{seq} ")).click()
        details = events.get_by_role("region", name=f"Event {seq}")
        expect(details).to_be_visible()
        desk.assert_harmless()
        details.get_by_role("button", name="On the wire").click()
        expect(details.get_by_text("pwned = 1").first).to_be_visible()
        desk.assert_harmless()


def test_the_past_is_as_harmless_as_the_present(desk: Desk, session: str) -> None:
    console = desk.console.session(session, "#seq=20")
    expect(
        console.page.get_by_role("region", name="Replay").get_by_text("Viewing seq")
    ).to_be_visible()
    desk.assert_harmless()
    for _ in range(12):
        console.page.keyboard.press("Shift+ArrowRight")
        desk.assert_harmless()


def test_the_list_and_the_form_show_hostile_names_as_text(desk: Desk, session: str) -> None:
    console = desk.console.sessions()
    expect(console.page.get_by_text(MARKUP[:30]).first).to_be_visible()
    desk.assert_harmless()
    console.page.get_by_role("button", name="Start a run").first.click()
    dialog = console.page.get_by_role("dialog", name="Start a run")
    dialog.get_by_label("Workflow").select_option("hostile")
    expect(dialog.get_by_text(MARKUP[:30]).first).to_be_visible()
    desk.assert_harmless()


def test_a_hostile_question_is_answered_and_a_hostile_error_is_shown_as_text(
    desk: Desk, stack: Stack
) -> None:
    session = stack.start("hostile", "anything")["session_id"]
    console = desk.console.session(session)
    questions = console.page.get_by_role("region", name="Questions")
    expect(questions.get_by_text(MARKUP[:30]).first).to_be_visible()
    desk.assert_harmless()

    questions.get_by_role("button", name="Answer", exact=True).click()

    expect(console.conversation.get_by_text("failed", exact=True).last).to_be_visible()
    desk.assert_harmless()


def _centre(locator: Any) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
