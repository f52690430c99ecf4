"""What was measured on, and with which versions: a figure without them says nothing."""

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Any

PACKAGES = (
    "asyncpg",
    "fastapi",
    "hiredis",
    "langgraph",
    "orjson",
    "pydantic",
    "redis",
    "sse-starlette",
    "uvicorn",
    "uvloop",
)


def machine() -> dict[str, Any]:
    """Return the machine, the versions of what runs on it, and the day."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": _said("git", "rev-parse", "--short", "HEAD"),
        "system": platform.platform(terse=True),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {
            "python": platform.python_version(),
            "redis": _number(_said("redis-server", "--version")),
            "nginx": _number(_said("nginx", "-v")),
            "nchan": _number(_said("dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan")),
            **{_shown(name): importlib.metadata.version(name) for name in PACKAGES if _has(name)},
        },
    }


def _shown(package: str) -> str:
    # The driver and its server have one name.
    return "redis-py" if package == "redis" else package


def _has(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except FileNotFoundError:
        return platform.processor()
    named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return named[1] if named else platform.machine()


def _said(*command: str) -> str:
    """Return what a program says of itself; nothing where it isn't installed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError:
        return ""
    return (done.stdout + done.stderr).strip()


def _number(text: str) -> str:
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else "none"
