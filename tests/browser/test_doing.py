"""What a person does in the console happens: answering, cancelling, erasing."""

from collections.abc import Callable

import httpx2
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.console import Console, asked
from tests.browser.watched import Watched
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.postgres, pytest.mark.redis]


def questions(console: Console) -> Locator:
    """Return where open questions stand."""
    return console.page.get_by_role("region", name="Questions")


def answer_button(console: Console) -> Locator:
    """Return what sends the answer."""
    return questions(console).get_by_role("button", name="Answer", exact=True)


def test_a_question_is_a_form_made_of_its_schema_and_the_answer_goes_on_with_the_run(
    console: Console, stack: Stack
) -> None:
    session = console.sessions().start("decide", value="the news")
    form = questions(console)
    expect(form.get_by_text("Publish the news?")).to_be_visible()

    # What doesn't fit is told at its field, and nothing is sent.
    form.get_by_label("Approved").check()
    form.get_by_label("Comment").fill("no")
    answer_button(console).click()
    expect(form.get_by_text("at least 3")).to_be_visible()

    form.get_by_label("Channel").select_option("mail")
    form.get_by_label("Comment").fill("well said")
    answer_button(console).click()

    expect(
        console.conversation.get_by_text("published on the mail: well said").first
    ).to_be_visible()
    expect(form).to_be_hidden()
    console.assert_same_as(stack, session)


def test_the_second_of_two_answers_is_refused_and_its_sender_is_told(
    stack: Stack, watched: Callable[..., Watched]
) -> None:
    """Somebody else answers while a page, cut off, still shows the form."""
    run = stack.start("decide", "the news")
    question = asked(stack, run["session_id"])
    window = watched()
    console = Console(window.page(), stack.url).session(run["session_id"])
    form = questions(console)
    form.get_by_label("Comment").fill("too late")
    # The page learns of nothing, so that it still asks.
    window.context.route("**/stream?*", lambda route: route.abort())
    console.tab("Proof").get_by_role("button", name="Cut my connection").click()
    answered = httpx2.post(
        f"{stack.url}/v1/runs/{run['run_id']}/input",
        json={"input_id": question["input_id"], "value": {"approved": True, "comment": "first"}},
        timeout=10,
    )
    assert answered.status_code in (200, 202), answered.text

    answer_button(console).click()

    expect(form.get_by_role("status").get_by_text("answered")).to_be_visible()
    window.context.unroute("**/stream?*")
    expect(console.conversation.get_by_text("published on the blog: first").first).to_be_visible()


def test_a_run_is_cancelled_with_a_reason(console: Console, stack: Stack) -> None:
    run = stack.start("endless", "going on")
    console.session(run["session_id"])
    expect(console.conversation.get_by_text("going on").first).to_be_visible()

    console.page.get_by_role("button", name="Cancel run").click()
    dialog = console.page.get_by_role("dialog", name="Cancel the run?")
    dialog.get_by_label("Reason").fill("seen enough")
    dialog.get_by_role("button", name="Cancel the run").click()

    expect(console.conversation.get_by_text("cancelled", exact=True).last).to_be_visible()
    expect(console.conversation.get_by_text("seen enough")).to_be_visible()
    assert stack.ended(run["run_id"])["status"] == "cancelled"


def test_an_erased_session_is_gone_for_everybody_who_looks_at_it(
    stack: Stack, watched: Callable[..., Watched]
) -> None:
    run = stack.start("ticker", {"events": 3, "interval_ms": 0})
    session = run["session_id"]
    stack.ended(run["run_id"])
    mine = Console(watched().page(), stack.gateways[0]).session(session)
    other = Console(watched().page(), stack.gateways[1]).session(session)
    expect(other.conversation.get_by_text("tick 3")).to_be_visible()

    mine.page.get_by_role("button", name="Erase this session").click()
    dialog = mine.page.get_by_role("dialog", name="Erase this session?")
    dialog.get_by_role("button", name="Erase for good").click()

    expect(mine.page.get_by_role("heading", name="Sessions", level=1)).to_be_visible()
    expect(other.page.get_by_text("This session was erased")).to_be_visible()
    assert httpx2.get(f"{stack.url}/v1/sessions/{session}/events", timeout=10).status_code == 410
