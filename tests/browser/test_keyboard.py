"""Everything can be done without a mouse, and every place has an address."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.console import Console
from tests.e2e.stack import Stack, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.postgres, pytest.mark.redis]

TICKS = 30


@pytest.fixture(scope="module")
def session(stack: Stack) -> str:
    """A session that is over: forty events, thirty of them ticks."""
    run = stack.start("ticker", {"events": TICKS, "interval_ms": 20})
    stack.ended(run["run_id"])
    return str(run["session_id"])


def press(page: Page, *keys: str) -> None:
    """Press keys, one after the other."""
    for key in keys:
        page.keyboard.press(key)


def focused(page: Page) -> str:
    """Return the address that the focused link leads to."""
    return str(page.evaluate("document.activeElement.href ?? ''"))


def test_the_list_is_walked_searched_and_opened_with_keys(
    console: Console, session: str, stack: Stack
) -> None:
    stack.start("ticker", {"events": 1})
    page = console.sessions().page
    rows = page.get_by_role("main").get_by_role("listitem")
    expect(rows.nth(1)).to_be_visible()
    press(page, "j")
    first = focused(page)
    press(page, "j")
    second = focused(page)
    press(page, "k")
    assert "/console/sessions/" in first
    assert first != second
    assert focused(page) == first

    press(page, "/")
    expect(page.get_by_label("Search sessions")).to_be_focused()
    page.keyboard.type(session)
    expect(rows).to_have_count(1)
    press(page, "Tab")
    page.get_by_label("Search sessions").blur()
    press(page, "j", "Enter")
    expect(page).to_have_url(re.compile(session))
    expect(page.get_by_role("tablist", name="Parts of the session")).to_be_visible()


def test_the_help_names_the_keys_of_the_page_that_is_shown(console: Console, session: str) -> None:
    page = console.session(session).page
    press(page, "?")
    keys = page.get_by_role("dialog")
    for label in ("One event back", "All sessions", "Conversation", "New run"):
        expect(keys.get_by_text(label).first).to_be_visible()
    press(page, "Escape")
    expect(keys).to_be_hidden()
    for key, name in (("e", "Events"), ("p", "Proof"), ("t", "Timeline")):
        press(page, key)
        expect(page.get_by_role("tab", name=re.compile(f"^{name}"))).to_have_attribute(
            "aria-selected", "true"
        )


def test_a_link_to_a_seq_shows_the_session_as_it_was_then(
    console: Console, stack: Stack, session: str
) -> None:
    """Event 17 of 1,337, or of 40: messages that came later are not there yet."""
    at = 17
    page = console.session(session, f"#seq={at}").page
    expect(console.conversation.get_by_text("tick 12")).to_be_visible()
    expect(page.get_by_text(f"as of event {at}")).to_be_visible()

    shown = console.state()
    told = stack.get(f"/v1/sessions/{session}/state?at={at}")

    del told["min_seq"]
    assert shown == told
    assert shown["seq"] == at


def test_a_replay_steps_plays_and_goes_live_with_keys(console: Console, session: str) -> None:
    page = console.session(session, "#seq=10").page
    slider = page.get_by_role("slider", name="Place in the log")
    expect(slider).to_have_attribute("aria-valuenow", "10")

    press(page, "ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "11")
    press(page, "ArrowLeft", "ArrowLeft")
    expect(slider).to_have_attribute("aria-valuenow", "9")
    # The address follows, so that it can be copied.
    expect(page).to_have_url(re.compile("seq=9$"))

    press(page, "Home")
    expect(slider).to_have_attribute("aria-valuenow", "1")
    press(page, "Space")
    eventually("it plays on", lambda: int(slider.get_attribute("aria-valuenow") or 0) > 3)
    press(page, "l")
    expect(page.get_by_role("button", name="Live", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(page).not_to_have_url(re.compile("seq="))


def test_an_exported_log_is_the_log_byte_by_byte(
    console: Console, stack: Stack, session: str
) -> None:
    events = console.session(session).tab("Events")
    with console.page.expect_download() as started:
        events.get_by_role("button", name="Export").click()

    exported = started.value.path().read_bytes()

    assert started.value.suggested_filename == f"{session}.jsonl"
    assert exported == b"".join(line + b"\n" for line in stack.history(session))


def test_an_event_is_copied_as_a_command_that_fetches_it(
    console: Console, stack: Stack, session: str
) -> None:
    events = console.session(session).tab("Events")
    events.get_by_role("listbox", name="Events").focus()
    press(console.page, "Home", "Enter")
    details = events.get_by_role("region", name="Event 1", exact=True)
    details.get_by_role("button", name="Copy curl").click()

    command = str(console.page.evaluate("navigator.clipboard.readText()"))

    assert command.startswith("curl ")
    assert f"{stack.url}/v1/sessions/{session}/events?" in command
