"""Who is asking. Every route depends on `principal`, and every call of the store takes its tenant.

The gateway knows no users yet: whoever reaches it is the one local tenant. To know more, override this one
dependency (`app.dependency_overrides[principal]`); the routes and the store already act on what it returns.
"""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

LOCAL_TENANT = "local"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: whose data it sees, who it is if known, and what it may do."""

    tenant: str
    subject: str | None = None
    scopes: frozenset[str] = field(default_factory=frozenset[str])


LOCAL = Principal(LOCAL_TENANT, scopes=frozenset({"*"}))
"""Everybody, as long as there are no users."""


async def principal(request: Request) -> Principal:
    """Return the caller of a request."""
    del request  # a version that knows users reads credentials from it
    return LOCAL


Caller = Annotated[Principal, Depends(principal)]
