"""One stack for all end-to-end tests of a pytest process: two gateways, two workers, real servers."""

import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.browser import page_server
from tests.e2e.stack import Stack, running
from tests.servers import make_server_dir


@pytest.fixture(scope="session")
def page_origin() -> Iterator[str]:
    """The origin of a page that is not the gateway's: what a browser application is."""
    with page_server() as origin:
        yield origin


@pytest.fixture(scope="session")
def stack(page_origin: str) -> Iterator[Stack]:
    """A stack that nobody may break; tests that kill things start their own."""
    root = make_server_dir()
    with running(
        root / "stack",
        "--gateways",
        "2",
        "--orchestrators",
        "2",
        HOLDFAST_LLM_OFFLINE_TOKEN_DELAY_S="0.001",
        HOLDFAST_CORS_ORIGINS=page_origin,
    ) as stack:
        yield stack
    shutil.rmtree(root, ignore_errors=True)
