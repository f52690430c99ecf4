"""A place on disk for the stacks of a test module."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import make_server_dir


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory of this module's own, which another user may walk into (Postgres as root)."""
    root = make_server_dir()
    yield root
    shutil.rmtree(root, ignore_errors=True)
