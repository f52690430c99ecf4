"""A stack whose runs take long enough to be cut in the middle, for other people's clients."""

import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.stack import Stack, running
from tests.interop.pages import Pages, pages_server
from tests.servers import make_server_dir


@pytest.fixture(scope="session")
def pages() -> Iterator[Pages]:
    """Pages of an origin that is not the gateway's, and that it allows."""
    with pages_server() as pages:
        yield pages


@pytest.fixture(scope="session")
def stack(pages: Pages) -> Iterator[Stack]:
    """Two gateways and a worker whose models take their time."""
    root = make_server_dir()
    with running(
        root / "stack",
        "--gateways",
        "2",
        HOLDFAST_LLM_OFFLINE_TOKEN_DELAY_S="0.015",
        HOLDFAST_CORS_ORIGINS=pages.origin,
    ) as stack:
        yield stack
    shutil.rmtree(root, ignore_errors=True)
