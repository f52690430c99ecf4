"""Pages that tell of everything that went wrong in them."""

from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

# A busy machine takes seconds for what a quiet one does at once; every wait ends at its condition.
PATIENCE_MS = 30_000

expect.set_options(timeout=PATIENCE_MS)

# Runs before anything of the page does: what its policy forbids is an event, and is kept.
WATCH_POLICY = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
    __violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
});
"""


class Watched:
    """A context's pages and what must not happen in them: errors, forbidden things, requests to elsewhere."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(WATCH_POLICY)
        self.requested: list[str] = []
        self.failures: list[str] = []
        self.context.on("request", lambda request: self.requested.append(request.url))
        self.context.on("weberror", lambda error: self.failures.append(str(error.error)))
        self.context.on("console", self._said)

    def page(self) -> Page:
        """Open another page."""
        return self.context.new_page()

    def _said(self, message: ConsoleMessage) -> None:
        # A connection that a test cuts is an error to the browser; the page itself never complains.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load"):
            self.failures.append(message.text)

    def elsewhere(self, *origins: str) -> list[str]:
        """Return what was asked of anybody but these origins."""
        at_home = tuple(f"{origin}/" for origin in origins)
        return [
            url
            for url in self.requested
            if not url.startswith((*at_home, *(f"blob:{o}" for o in origins)))
        ]

    def close(self) -> None:
        """Close its pages."""
        self.context.close()


def violations(page: Page) -> list[str]:
    """Return what the page's content security policy has forbidden so far."""
    return list(page.evaluate("window.__violations"))
