"""What `holdfast dev` is asked to run."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from holdfast.local.ports import LOOPBACK


async def migrate_events(database_url: str) -> None:
    """Bring the database to the schema of this version."""
    from holdfast.events.migrate import migrate

    await migrate(database_url)


@dataclass(frozen=True)
class DevOptions:
    """Everything that a local stack can be told; the defaults are one of each on port 8000."""

    # Holds the data of both servers, the logs and `processes.json`.
    data_dir: Path = Path(".holdfast")
    host: str = LOOPBACK
    # Gateways listen on consecutive ports from here; 0 takes free ones.
    port: int = 8000
    orchestrators: int = 1
    gateways: int = 1
    # Modules or files with the application's workflows; empty leaves the choice to the environment.
    app: tuple[str, ...] = ()
    # Keep what the services print in their log files only.
    quiet: bool = False
    orchestrator_command: tuple[str, ...] = (sys.executable, "-m", "holdfast.orchestrator")
    # Runs the durable subscriptions that `app` declares; started only if there are some.
    subscriber_command: tuple[str, ...] = (sys.executable, "-m", "holdfast.subscribe")
    gateway_command: tuple[str, ...] = (sys.executable, "-m", "holdfast.gateway")
    migrate: Callable[[str], Awaitable[None]] = migrate_events
