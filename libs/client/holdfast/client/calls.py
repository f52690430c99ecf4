"""What every group of calls stands on: the wire, and answers of the expected shape."""

from typing import Any
from uuid import uuid4

from holdfast.client.answers import Json
from holdfast.client.errors import AnswerInvalid
from holdfast.client.wire import Wire


class Calls:
    """A group of calls over one wire."""

    _wire: Wire

    async def _object(self, method: str, path: str, **call: Any) -> Json:
        answer = await self._wire.call(method, path, **call)
        if not isinstance(answer, dict):
            raise self._strange(f"{method} {path} gave no object")
        return answer

    async def _list(self, path: str, **call: Any) -> list[Json]:
        answer = await self._wire.call("GET", path, **call)
        items = answer.get("items") if isinstance(answer, dict) else answer
        if not isinstance(items, list):
            raise self._strange(f"GET {path} gave no list")
        return items

    def _strange(self, what: str) -> AnswerInvalid:
        return AnswerInvalid(self._wire.gateways.current, what)


def key_or_new(given: str | None) -> str:
    """Return the idempotency key of a write: what makes it safe to be sent again."""
    return given or str(uuid4())
