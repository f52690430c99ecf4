"""What can go wrong when talking to a gateway, as one tree.

HoldfastError
└── ClientError
    ├── ProblemError      a gateway understood the request and refused it
    ├── Unreachable       no gateway answered, or none that could serve
    └── AnswerInvalid     whatever answered does not speak Holdfast's protocol
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from holdfast.events.errors import HoldfastError


class ClientError(HoldfastError):
    """The base of what the client raises."""


class ProblemError(ClientError):
    """A gateway's refusal (RFC 9457): `code` is for programs, `detail` one sentence for people."""

    def __init__(
        self,
        status: int,
        *,
        code: str,
        title: str,
        detail: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(f"{status} {code}: {detail or title}")
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.errors = tuple(errors)

    @classmethod
    def of(cls, status: int, body: bytes) -> "ProblemError":
        """Read a refusal; a body that isn't a problem (a proxy's page) leaves the status to
        speak.
        """
        try:
            problem: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            problem = None
        if not isinstance(problem, dict):
            return cls(status, code=f"http-{status}", title=f"the gateway answered {status}")
        code = problem.get("code") or str(problem.get("type") or "").rpartition("/")[2]
        # A problem without a type of its own is `about:blank`: the status is all it says.
        if not isinstance(code, str) or code in ("", "about:blank"):
            code = f"http-{status}"
        errors: Any = problem.get("errors")
        return cls(
            status,
            code=code,
            title=str(problem.get("title") or f"the gateway answered {status}"),
            detail=str(problem["detail"]) if problem.get("detail") else None,
            errors=[e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else (),
        )


class Unreachable(ClientError):
    """No gateway served the request; making it again is safe."""

    def __init__(self, gateway: str, reason: str) -> None:
        super().__init__(f"cannot reach the gateway at {gateway}: {reason}")
        self.gateway, self.reason = gateway, reason


class AnswerInvalid(ClientError):
    """The answer is not what a Holdfast gateway sends: is the address right?"""

    def __init__(self, gateway: str, what: str) -> None:
        super().__init__(f"{gateway} does not answer like a Holdfast gateway: {what}")
        self.gateway, self.what = gateway, what
