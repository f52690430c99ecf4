"""The console as a person uses it: found by what is said on it, never by how it is built."""

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.e2e.stack import Stack, eventually

# Of the page's own counters, those that are zero unless something went wrong.
ALWAYS_ZERO = ("gaps", "duplicates", "resets")


def asked(stack: Stack, session: str) -> dict[str, Any]:
    """Wait until a session asks a person; return the question."""
    return eventually(
        "the run asks",
        lambda: next(iter(stack.get(f"/v1/sessions/{session}/state")["pending_inputs"]), None),
        within_s=90,
    )


class Console:
    """One page that shows the console."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page, self.origin = page, origin
        page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)

    def sessions(self) -> "Console":
        """Show the list of sessions."""
        self.page.goto(f"{self.origin}/console/")
        expect(self.page.get_by_role("heading", name="Sessions", level=1)).to_be_visible()
        return self

    def session(self, session: str, fragment: str = "") -> "Console":
        """Show a session."""
        self.page.goto(f"{self.origin}/console/sessions/{session}{fragment}")
        expect(self.page.get_by_role("tablist", name="Parts of the session")).to_be_visible()
        return self

    def start(self, workflow: str, **fields: str) -> str:
        """Start a run in a new session from the list's form; return the session that the page went to."""
        self.page.get_by_role("button", name="Start a run").first.click()
        dialog = self.page.get_by_role("dialog", name="Start a run")
        dialog.get_by_label("Workflow").select_option(workflow)
        for label, text in fields.items():
            dialog.get_by_label(re.compile(label, re.I)).fill(text)
        dialog.get_by_role("button", name="Start", exact=True).click()
        self.page.wait_for_url("**/console/sessions/*")
        return self.page.url.rpartition("/")[2].partition("#")[0]

    @property
    def conversation(self) -> Locator:
        """What is said."""
        return self.page.get_by_role("region", name="Conversation")

    def tab(self, name: str) -> Locator:
        """Choose a part of the session; return what it shows."""
        self.page.get_by_role("tab", name=re.compile(f"^{name}")).click()
        return self.page.get_by_role("tabpanel", name=re.compile(f"^{name}"))

    def counters(self) -> dict[str, int]:
        """Return the connection's own counters, from the proof panel."""
        panel = self.tab("Proof")
        rows = panel.locator("dl > div").all()
        read = (row.inner_text().split("\n") for row in rows)
        return {name.strip().lower(): int(value.replace(",", "")) for name, value in read}

    def connection(self) -> str:
        """Return what the header says of the connection."""
        return self.page.get_by_title(re.compile("^The connection")).inner_text().split("\n")[0]

    def state(self) -> dict[str, Any]:
        """Return the state that the page folded, as its own button copies it."""
        panel = self.tab("Proof")
        self.page.evaluate("navigator.clipboard.writeText('')")
        panel.get_by_role("button", name=re.compile("^(Copy state|Copied)$")).click()
        copied = eventually(
            "the state is in the clipboard",
            lambda: self.page.evaluate("navigator.clipboard.readText()"),
        )
        return json.loads(copied)

    def assert_same_as(self, stack: Stack, session: str) -> dict[str, Any]:
        """Wait until the page is at the log's head, and require that its state is the gateway's; return that."""
        head = int(stack.get(f"/v1/sessions/{session}")["head"])
        eventually(f"the page is at {head}", lambda: self.counters()["cursor"] >= head, within_s=40)
        mine = self.state()
        theirs = stack.get(f"/v1/sessions/{session}/state?at={mine['seq']}")
        del theirs["min_seq"]
        assert mine == theirs
        counters = self.counters()
        assert {name: counters[name] for name in ALWAYS_ZERO} == dict.fromkeys(ALWAYS_ZERO, 0)
        return mine

    def assert_compared_as_same(self) -> None:
        """Have the page compare its state with the gateway's itself."""
        panel = self.tab("Proof")
        panel.get_by_role("button", name="Compare with the gateway").click()
        expect(panel.get_by_text(re.compile("^The same at event"))).to_be_visible()
