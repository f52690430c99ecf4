"""Which sessions have events so large that the store can't give their pages as lines."""

from collections import OrderedDict

from holdfast.events.store import LINE_BYTES_MAX, Page

# Sessions that are remembered, 100 KB of them: whoever is pushed out costs one page that is joined in vain.
HEAVY_MAX = 1_024


class Heavy:
    """Remembers sessions by the last page that was read of them event by event.

    The store joins a page before it knows that it is too large, up to 8 MB of it, and it is read once more then. A
    session of documents or tool results would pay twice for every page.
    """

    def __init__(self) -> None:
        self._sessions: OrderedDict[int, None] = OrderedDict()

    def __contains__(self, session: int) -> bool:
        return session in self._sessions

    def note(self, session: int, page: Page, *, limit: int) -> None:
        """Take note of a page of all of a session's events, of which `limit` were asked for."""
        cut = len(page.items) < limit and page.through < page.head
        if cut or any(len(item.body) > LINE_BYTES_MAX for item in page.items):
            self._sessions[session] = None
            self._sessions.move_to_end(session)
            if len(self._sessions) > HEAVY_MAX:
                self._sessions.popitem(last=False)
        else:
            self._sessions.pop(session, None)
