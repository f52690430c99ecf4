"""A session of 100,000 events opens as quickly as a small one, and scrolls smoothly."""

import statistics
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.console import Console
from tests.browser.watched import Watched
from tests.e2e.stack import Stack, eventually

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.long,
    pytest.mark.alone,
    pytest.mark.timeout(900),
]

EVENTS = 100_000

# A page that replayed the log would take minutes, and ten times as much memory.
OPEN_S_MAX = 15.0
HEAP_BYTES_MAX = 200_000_000

# What a finger notices.
TASK_MEDIAN_MS_MAX = 200.0

# Pages of the log for what is looked at, samples of it for the scrubber's picture: a tenth of it, not all.
EVENTS_READ_MAX = EVENTS // 10

WATCH_TASKS = """
window.__tasks = [];
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) __tasks.push(entry.duration);
}).observe({ type: "longtask" });
"""


@pytest.fixture(scope="module")
def session(stack: Stack) -> str:
    """A hundred thousand events, as fast as they can be made."""
    run = stack.start("ticker", {"events": EVENTS, "interval_ms": 0})
    stack.ended(run["run_id"], within_s=800)
    return str(run["session_id"])


def test_a_hundred_thousand_events_open_at_once_and_scroll_smoothly(
    stack: Stack, watched: Callable[..., Watched], session: str
) -> None:
    window = watched()
    page = window.page()
    page.add_init_script(WATCH_TASKS)
    devtools = window.context.new_cdp_session(page)
    devtools.send("Performance.enable")

    began = time.monotonic()
    console = Console(page, stack.url).session(session)
    expect(page.get_by_text("completed", exact=True).first).to_be_visible()
    eventually("it is live", lambda: console.connection() == "live")
    took_s = time.monotonic() - began
    assert took_s < OPEN_S_MAX

    # What came before is in the snapshot: the stream brings nothing of it.
    assert console.counters()["received"] < 100
    assert console.counters()["cursor"] >= EVENTS

    listed = console.tab("Events").get_by_role("listbox", name="Events")
    box = listed.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.evaluate("__tasks.length = 0")
    # To places all over the log, and step by step as a wheel does.
    for share in (0.0, 0.9, 0.1, 0.5):
        listed.evaluate("(list, share) => { list.scrollTop = share * list.scrollHeight; }", share)
        for _ in range(20):
            page.mouse.wheel(0, 400)
        expect(listed.get_by_role("option").nth(5)).not_to_contain_text("…")
    tasks = [float(task) for task in page.evaluate("__tasks")]
    assert statistics.median(tasks or [0.0]) < TASK_MEDIAN_MS_MAX

    devtools.send("HeapProfiler.collectGarbage")
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    heap = next(metric["value"] for metric in metrics if metric["name"] == "JSHeapUsedSize")
    assert heap < HEAP_BYTES_MAX
    pages = [parse_qs(urlsplit(url).query) for url in window.requested if "/events?" in url]
    read = sum(int(page["limit"][0]) for page in pages)
    assert read <= EVENTS_READ_MAX
    print(
        f"\nopened in {took_s:.1f} s, heap {heap / 1e6:.0f} MB, at most {read:,} events read in {len(pages)} pages, "
        f"{len(tasks)} long tasks, median {statistics.median(tasks or [0.0]):.0f} ms"
    )
