"""What is known of a stream's request before it comes to the application; see `express`."""

from starlette.responses import Response
from starlette.types import Scope

# The key in a scope's `extensions` under which a server leaves it.
VERDICT = "holdfast.verdict"

Verdict = Response | Exception
"""The answer to a request that was judged already, or what judging it has raised."""


def verdict_of(scope: Scope) -> Verdict | None:
    """Return what is known of a request; mostly nothing, as for everybody's."""
    return (scope.get("extensions") or {}).get(VERDICT)


def given(verdict: Verdict) -> Response:
    """Return the answer. Raises what judging the request has raised."""
    if isinstance(verdict, Exception):
        raise verdict
    return verdict
