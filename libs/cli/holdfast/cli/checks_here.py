"""What the doctor looks at on this machine: Python, the packages, and where the servers are."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson

from holdfast.cli.findings import Finding, fail, ok, warn

_REQUIREMENT = re.compile(r"([A-Za-z0-9_.\-]+)(?:\[[^\]]*\])?[^;]*?>=\s*([0-9.]+)[^;]*(;.*)?")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers are; None if nobody says."""

    database_url: str | None
    redis_url: str | None
    gateways: int = 0
    orchestrators: int = 0
    subscribers: int = 0


def addresses(environment: Mapping[str, str], data_dir: Path) -> Addresses:
    """Find the servers: the environment's, else those of the `holdfast dev` that runs in
    `data_dir`.
    """
    running = _processes(data_dir)
    names = [str(entry.get("name")) for entry in running]
    local = {str(entry.get("name")): str(entry.get("address")) for entry in running}
    database = environment.get("HOLDFAST_DATABASE_URL")
    redis = environment.get("HOLDFAST_REDIS_URL")
    return Addresses(
        database or _local_postgres(data_dir, local.get("postgres")),
        redis or (f"redis://{local['redis']}/0" if "redis" in local else None),
        gateways=sum(name.startswith("gateway-") for name in names),
        orchestrators=sum(name.startswith("orchestrator-") for name in names),
        subscribers=names.count("subscriber"),
    )


def check_python() -> Iterator[Finding]:
    """Look at Python and at the versions of what is installed."""
    found = ".".join(map(str, sys.version_info[:3]))
    # An older one could not have come this far: our own syntax needs 3.11.
    yield ok("python", found)
    try:
        requirements = metadata.requires("holdfast") or []
    except metadata.PackageNotFoundError:
        yield warn("packages", "holdfast itself is not installed", "pip install holdfast")
        return
    good: list[str] = []
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)
        if match is None:
            continue
        name, least, condition = match.groups()
        try:
            there = metadata.version(name)
        except metadata.PackageNotFoundError:
            # What only an extra needs may be missing: its command will say so.
            if condition is None:
                yield fail(name, "is not installed", "pip install --upgrade holdfast")
            continue
        if _numbers(there) < _numbers(least):
            do = f"pip install --upgrade '{name}>={least}'"
            yield fail(name, f"{there} is older than {least}", do)
        elif condition is None:
            good.append(f"{name} {there}")
    yield ok("packages", ", ".join(good))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _processes(data_dir: Path) -> list[dict[str, Any]]:
    try:
        entries = orjson.loads((data_dir / "processes.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return []
    return [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []


def _local_postgres(data_dir: Path, address: str | None) -> str | None:
    if address is None or not address.rpartition(":")[2].isdigit():
        return None
    try:
        from holdfast.local.postgres_server import PostgresServer
    except ImportError:
        return None
    port = int(address.rpartition(":")[2])
    try:
        # `binary` is only used to start one, which isn't done here; the default would search for
        # it.
        return PostgresServer(data_dir / "postgres", port=port, binary=Path(os.curdir)).url
    except OSError:
        return None  # another user's, whose password we can't read
