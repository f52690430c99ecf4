"""A stack of its own beside the round's: for what loses data on purpose, which no judge of a whole stack could pass."""

import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from tests.campaign.field import Field, open_field
from tests.campaign.servers import Servers
from tests.servers import make_server_dir


@asynccontextmanager
async def apart(
    *, spared: int, gateways: int, postgres: Mapping[str, str] | None = None, **env: str
) -> AsyncGenerator[Field]:
    """Bring a stack up on servers of its own, and take all of it away behind the block."""
    root = make_server_dir()
    servers = Servers(root, postgres=postgres)
    try:
        await servers.start()
        async with open_field(
            servers, root / "field", spared=spared, gateways=gateways, env=env
        ) as field:
            yield field
    finally:
        servers.stop()
        shutil.rmtree(root, ignore_errors=True)
