"""What the doctor looks at in Postgres: version, durability, connections, its clock and the
schema.
"""

import time
from collections.abc import AsyncIterator

import asyncpg

from holdfast.cli.findings import Finding, fail, ok, warn
from holdfast.events.errors import HoldfastError
from holdfast.events.migrate import status
from holdfast.events.pool_postgres import (
    GATEWAY_CONNECTIONS,
    POSTGRES_MAJOR_MIN,
    SUBSCRIBER_CONNECTIONS,
    WORKER_CONNECTIONS,
)

TIMEOUT_S = 5.0

# What we test with, and newer.
TESTED = 16

# Leases run on the database's clock alone, so skew only makes timestamps look odd.
SKEW_S = 2.0

_SETTINGS = """
select current_setting('server_version') as version,
       current_setting('server_version_num')::int / 10000 as major,
       current_setting('fsync') as fsync,
       current_setting('synchronous_commit') as synchronous_commit,
       current_setting('full_page_writes') as full_page_writes,
       current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true), '0')::int as allowed,
       (select count(*) from pg_stat_activity where backend_type = 'client backend') as used,
       extract(epoch from clock_timestamp())::float8 as now
"""


async def check_postgres(
    url: str, *, gateways: int, workers: int, subscribers: int
) -> AsyncIterator[Finding]:
    """Look at the database; the numbers are how many processes of each kind it has to serve."""
    try:
        connection = await asyncpg.connect(url, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S)
    except (
        OSError,
        TimeoutError,
        ValueError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
    ) as error:
        # The URL holds a password and is never shown.
        said = str(error) or type(error).__name__
        do = "start it or correct HOLDFAST_DATABASE_URL"
        yield fail("postgres", f"cannot be reached: {said}", do)
        return
    try:
        asked = time.time()
        row = await connection.fetchrow(_SETTINGS)
        answered = time.time()
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        yield fail("postgres", f"does not tell its settings: {error}", "look into its log")
        return
    finally:
        await connection.close(timeout=TIMEOUT_S)
    assert row is not None
    yield judge_version(row["version"], row["major"])
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        yield judge_durability(name, row[name])
    yield judge_connections(
        row["used"],
        row["allowed"],
        gateways=gateways,
        workers=workers,
        subscribers=subscribers,
    )
    yield judge_skew("postgres clock", row["now"] - (asked + answered) / 2)
    yield await _schema(url)


def judge_version(version: str, major: int) -> Finding:
    """Judge the server's version."""
    if major < POSTGRES_MAJOR_MIN:
        return fail("postgres version", f"{version} is too old", f"use Postgres {TESTED} or newer")
    if major < TESTED:
        do = f"use Postgres {TESTED} or newer"
        return warn("postgres version", f"{version} is older than what we test with", do)
    return ok("postgres version", version)


def judge_durability(name: str, value: str) -> Finding:
    """Judge one of the settings on which "on disk before anybody sees it" rests."""
    if value == "off":
        return fail(
            name,
            "off: a crash may lose events that clients have seen",
            f"set {name} = on (services refuse it unless they are given --unsafe-dev)",
        )
    return ok(name, value)


def judge_connections(
    used: int, allowed: int, *, gateways: int, workers: int, subscribers: int
) -> Finding:
    """Judge whether all processes together get the connections they may open."""
    counted = {
        "gateways": (gateways, GATEWAY_CONNECTIONS),
        "workers": (workers, WORKER_CONNECTIONS),
        "subscribers": (subscribers, SUBSCRIBER_CONNECTIONS),
    }
    need = sum(number * each for number, each in counted.values())
    terms = " + ".join(f"{number} {kind} × {each}" for kind, (number, each) in counted.items())
    sum_ = f"{terms} = {need} of {allowed} allowed, {used} used now"
    if need > allowed:
        do = "raise max_connections, or put a session-mode pooler in front"
        return fail("postgres connections", sum_, do)
    if used > 0.8 * allowed:
        return warn("postgres connections", sum_, "find out who else holds connections")
    return ok("postgres connections", sum_)


def judge_skew(subject: str, skew_s: float) -> Finding:
    """Judge how far a clock is from this machine's."""
    says = f"{abs(skew_s):.1f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"
    if abs(skew_s) > SKEW_S:
        return warn(subject, says, "run a time service (chrony, systemd-timesyncd) on each machine")
    return ok(subject, says)


async def _schema(url: str) -> Finding:
    try:
        known = await status(url)
    except HoldfastError as error:
        return fail(
            "schema", str(error), "use the version of Holdfast that wrote it, or a newer one"
        )
    if missing := [name for name, there in known.items() if not there]:
        return fail("schema", f"missing: {', '.join(missing)}", "holdfast migrate")
    return ok("schema", next(reversed(known), "empty"))
