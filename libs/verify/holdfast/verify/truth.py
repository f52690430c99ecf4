"""What the gateways say is in the log, byte for byte: pages of JSON whose items are cut out and never made anew."""

import json
from typing import Any

import httpx2

from holdfast.client.errors import AnswerInvalid, ProblemError, Unreachable
from holdfast.verify.history import Copy
from holdfast.verify.log import LogEvent, SessionLog

# The gateway's own bound.
PAGE_EVENTS = 500

# A page comes in 10 ms; 10 s is a gateway that does not answer.
PAGE_S = 10.0

_ITEMS = '"items":['


class Pages:
    """Logs out of one gateway's JSON pages."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http, self._url = http, url.rstrip("/")

    async def log(self, session: str) -> SessionLog:
        """Return a session's whole log. Raises Unreachable, ProblemError, AnswerInvalid."""
        bodies: list[bytes] = []
        after, head, min_seq = 0, 0, 1
        while True:
            page = await self._page(session, after)
            head, min_seq = int(page["head"]), int(page.get("min_seq", 1))
            bodies += page["bodies"]
            through = int(page["next_after"])
            if through >= head or through <= after:
                break
            after = through
        try:
            events = [LogEvent.of(body) for body in bodies]
        except ValueError as error:
            raise AnswerInvalid(self._url, str(error)) from error
        return SessionLog(session=session, events=events, head=head, min_seq=min_seq)

    async def copy(self, session: str) -> Copy:
        """Return what this gateway gives out as a session's log, to be held against the truth."""
        log = await self.log(session)
        events = [(event.seq, event.digest) for event in log.events]
        return Copy(name=f"pages of {self._url}", session=session, events=events, whole=True)

    async def _page(self, session: str, after: int) -> dict[str, Any]:
        try:
            answer = await self._http.get(
                f"{self._url}/v1/sessions/{session}/events",
                params={"after": after, "limit": PAGE_EVENTS},
                timeout=PAGE_S,
            )
        except httpx2.TransportError as error:
            raise Unreachable(self._url, str(error) or type(error).__name__) from error
        if not answer.is_success:
            raise ProblemError.of(answer.status_code, answer.content)
        try:
            return {**json.loads(answer.content), "bodies": items(answer.content)}
        except (ValueError, TypeError) as error:
            raise AnswerInvalid(self._url, f"no page: {error}") from error


def items(page: bytes) -> list[bytes]:
    """Cut the items out of a page. Raises ValueError if it isn't one."""
    text = page.decode()
    at = text.index(_ITEMS) + len(_ITEMS)
    found: list[bytes] = []
    scan = json.JSONDecoder().raw_decode
    while text[at] != "]":
        at += text[at] == ","
        _, end = scan(text, at)
        found.append(text[at:end].encode())
        at = end
    return found
