"""Pictures of the console for the documentation: `python -m tests.browser.screenshots --out docs/images`.

Each is of a stack of its own with the workflows of these tests, at sizes that don't change; names and times do.
"""

import argparse
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import WORKFLOWS
from tests.browser.console import Console, asked
from tests.browser.png import smaller
from tests.browser.watched import Watched
from tests.e2e.browser import chromium
from tests.e2e.stack import Stack, eventually, running
from tests.servers import make_server_dir

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 1.5,
    "has_touch": True,
}

# A page in the documentation loads all of them.
EACH_BYTES_MAX = 200_000
ALL_BYTES_MAX = 1_500_000

TOPIC = "durable event logs"


@dataclass(frozen=True)
class Scene:
    """One picture: where, in which look, and what is done before it is taken."""

    name: str
    theme: Literal["dark", "light"]
    place: dict[str, Any]
    arrange: Callable[[Console, "World"], None]


@dataclass(frozen=True)
class World:
    """The sessions that are shown."""

    stack: Stack
    waiting: str
    finished: str


def build(stack: Stack) -> World:
    """Have everything happened that is to be seen."""
    finished = begin(stack, "A report on event logs", "report", {"topic": TOPIC})
    answer(stack, finished)
    todo = {"requirement": "a todo list that two people share"}
    long = begin(stack, "A todo list that two people share", "team", todo)
    gone = begin(stack, "Watch the queue", "endless", "watching the queue")
    eventually("it goes on", lambda: head(stack, gone) > 30)
    stack.cancel(stack.get(f"/v1/sessions/{gone}")["runs"][0]["run_id"])
    failed = begin(stack, "Nightly import", "fragile", "the nightly import")
    waiting = begin(stack, "Rate limits for agents", "report", {"topic": "rate limits"})
    asked(stack, waiting)
    for session in (long, failed):
        eventually("it is done", lambda one=session: not active(stack, one), within_s=120)
    begin(stack, "Heartbeat of the test fleet", "ticker", {"events": 2_000, "interval_ms": 100})
    return World(stack, waiting, finished)


def begin(stack: Stack, title: str, workflow: str, input: Any) -> str:
    """Start a run in a new session of that title; return the session."""
    body = {"metadata": {"title": title}}
    answer = httpx2.post(f"{stack.url}/v1/sessions", json=body, timeout=10)
    session = str(answer.json()["session_id"])
    stack.start(workflow, input, session=session)
    return session


def answer(stack: Stack, session: str) -> None:
    """Wait for the session's question and answer it."""
    question = asked(stack, session)
    said = {"approved": True, "channel": "blog", "comment": "Clear and short."}
    reply = httpx2.post(
        f"{stack.url}/v1/runs/{question['run_id']}/input",
        json={"input_id": question["input_id"], "value": said},
        timeout=10,
    )
    assert reply.status_code in (200, 202), reply.text
    eventually("it is done", lambda: not active(stack, session), within_s=60)


def state(stack: Stack, session: str) -> dict[str, Any]:
    """Return a session's state."""
    return dict(stack.get(f"/v1/sessions/{session}/state"))


def head(stack: Stack, session: str) -> int:
    """Return a session's last seq."""
    return int(stack.get(f"/v1/sessions/{session}")["head"])


def active(stack: Stack, session: str) -> bool:
    """Tell whether a run of the session has not ended."""
    runs = stack.get(f"/v1/sessions/{session}")["runs"]
    return any(run["status"] not in ("completed", "failed", "cancelled") for run in runs)


def sessions(console: Console, world: World) -> None:
    """Show the list."""
    console.sessions()
    expect(console.page.get_by_text("waiting").first).to_be_visible()


def running_timeline(console: Console, world: World) -> None:
    """Show a run at work: three researchers in parallel."""
    session = begin(world.stack, "What replay costs", "report", {"topic": "replay"})
    console.session(session)
    eventually(
        "all three write",
        lambda: len(state(world.stack, session)["messages"]) >= 3,
        within_s=60,
    )


def waiting(console: Console, world: World) -> None:
    """Show a run that asks a person, with its conversation and timeline."""
    console.session(world.waiting)
    form = console.page.get_by_role("region", name="Questions")
    form.get_by_label("Comment").fill("Well said, but name the sources.")


def replay(console: Console, world: World) -> None:
    """Show a session as it was."""
    at = head(world.stack, world.finished) // 2
    console.session(world.finished, f"#seq={at}")
    expect(console.page.get_by_text(f"as of event {at}")).to_be_visible()


def proof(console: Console, world: World) -> None:
    """Show a connection that was cut and has come back."""
    ticks = {"events": 400, "interval_ms": 40}
    session = begin(world.stack, "Four hundred ticks", "ticker", ticks)
    panel = console.session(session).tab("Proof")
    eventually("events come", lambda: console.counters()["received"] > 40)
    panel.get_by_role("button", name="Cut my connection").click()
    eventually("it resumes", lambda: console.counters()["resumes"] == 1)
    eventually("it is live", lambda: console.connection() == "live")
    panel.get_by_role("button", name="Compare with the gateway").click()
    expect(panel.get_by_text("The same at event")).to_be_visible()


def events(console: Console, world: World) -> None:
    """Show the raw events, one of them opened."""
    panel = console.session(world.finished).tab("Events")
    panel.get_by_label("Text within events").fill("look_up")
    expect(panel.get_by_text("6 found")).to_be_visible()
    panel.get_by_role("listbox", name="Events").get_by_role("option").nth(1).click()


def conversation(console: Console, world: World) -> None:
    """Show what was said, on a phone."""
    console.session(world.waiting)


def timeline(console: Console, world: World) -> None:
    """Show the timeline of a run that is over."""
    console.session(world.finished).tab("Timeline")


SCENES = (
    Scene("console-sessions-dark", "dark", DESK, sessions),
    Scene("console-sessions-light", "light", DESK, sessions),
    Scene("console-running-dark", "dark", DESK, running_timeline),
    Scene("console-running-light", "light", DESK, running_timeline),
    Scene("console-waiting-dark", "dark", DESK, waiting),
    Scene("console-replay-dark", "dark", DESK, replay),
    Scene("console-replay-light", "light", DESK, replay),
    Scene("console-proof-dark", "dark", DESK, proof),
    Scene("console-events-light", "light", DESK, events),
    Scene("console-phone-sessions-light", "light", PHONE, sessions),
    Scene("console-phone-conversation-dark", "dark", PHONE, conversation),
    Scene("console-phone-timeline-light", "light", PHONE, timeline),
)


def take(browser: Browser, scene: Scene, world: World) -> bytes:
    """Return a scene as a PNG."""
    window = Watched(browser, color_scheme=scene.theme, reduced_motion="reduce", **scene.place)
    try:
        console = Console(window.page(), world.stack.url)
        scene.arrange(console, world)
        settled(console.page)
        assert not window.failures, window.failures
        return smaller(console.page.screenshot(animations="disabled", caret="hide"))
    finally:
        window.close()


def settled(page: Page) -> None:
    """Wait until fonts are there and the page has been drawn with what it has."""
    page.wait_for_load_state("load")
    page.evaluate("document.fonts.ready.then(() => 0)")
    # The timeline is drawn a few times a second, the scrubber's picture within two.
    page.wait_for_timeout(2_500)


def main() -> None:
    """Take all pictures, or those whose names hold a word."""
    parser = argparse.ArgumentParser(description="Take the pictures of the console.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="a part of the names of those that are wanted")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    root = make_server_dir()
    try:
        with (
            running(
                root / "stack",
                str(WORKFLOWS),
                HOLDFAST_LLM_OFFLINE_TOKEN_DELAY_S="0.02",
                REPORT_TOKEN_DELAY_S="0.15",
            ) as stack,
            chromium() as browser,
        ):
            world = build(stack)
            for scene in SCENES:
                if arguments.only in scene.name:
                    write(arguments.out / f"{scene.name}.png", take(browser, scene, world))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    total = sum(path.stat().st_size for path in arguments.out.glob("console-*.png"))
    print(f"{total:,} bytes in all")
    assert total <= ALL_BYTES_MAX


def write(path: Path, picture: bytes) -> None:
    """Write a picture that is small enough."""
    assert len(picture) <= EACH_BYTES_MAX, f"{path.name} has {len(picture):,} bytes"
    path.write_bytes(picture)
    print(f"{path.name} {len(picture):,}")


if __name__ == "__main__":
    main()
