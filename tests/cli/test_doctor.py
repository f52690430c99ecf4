import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from holdfast.cli.app import app
from holdfast.cli.checks_gateway import judge_readiness
from holdfast.cli.checks_here import addresses, check_python
from holdfast.cli.checks_postgres import (
    judge_connections,
    judge_durability,
    judge_skew,
    judge_version,
)
from holdfast.cli.checks_redis import judge_redis
from holdfast.cli.findings import Level
from holdfast.events.migrate import migrations
from holdfast.events.pool_postgres import SUBSCRIBER_CONNECTIONS, WORKER_CONNECTIONS
from holdfast.orchestrator.app import STORE_CONNECTIONS
from holdfast.orchestrator.executors.langgraph_saver import CHECKPOINT_CONNECTIONS
from holdfast.subscribe.app import CONNECTIONS
from tests.cli.gateway import FakeGateway
from tests.client.scripted import in_thread

READY = {"status": "ready", "postgres": {"reachable": True}, "redis": {"connected": True}}


def levels(**info: object) -> set[Level]:
    good = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "maxclients": 10_000}
    return {finding.level for finding in judge_redis({**good, **info})}


def test_a_redis_as_it_should_be_is_ok():
    assert levels() == {Level.OK}
    assert levels(redis_version="6.2.14") == {Level.OK}
    assert levels(valkey_version="8.0.1") == {Level.OK}


@pytest.mark.parametrize(
    ("info", "level"),
    [
        ({"redis_version": "6.0.16"}, Level.FAIL),
        ({"maxmemory_policy": "allkeys-lru"}, Level.FAIL),
        ({"maxmemory": 100, "used_memory": 90}, Level.WARN),
        ({"maxclients": 100, "connected_clients": 90}, Level.WARN),
    ],
)
def test_a_redis_that_would_surprise_is_told_of(info: dict[str, object], level: Level):
    assert level in levels(**info)


@pytest.mark.parametrize("name", ["fsync", "synchronous_commit", "full_page_writes"])
def test_a_postgres_that_may_lose_commits_fails(name: str):
    assert judge_durability(name, "off").level is Level.FAIL
    assert judge_durability(name, "on").level is Level.OK


def test_connections_are_added_up_over_all_processes():
    enough = judge_connections(10, 97, gateways=4, workers=4, subscribers=1)
    few = judge_connections(10, 97, gateways=8, workers=5, subscribers=3)

    assert (enough.level, few.level) == (Level.OK, Level.FAIL)
    assert "8 gateways × 6 + 5 workers × 8 + 3 subscribers × 4 = 100 of 97 allowed" in few.says


def test_what_is_added_up_is_what_the_services_open():
    worker = STORE_CONNECTIONS + 1 + CHECKPOINT_CONNECTIONS

    assert (worker, CONNECTIONS) == (WORKER_CONNECTIONS, SUBSCRIBER_CONNECTIONS)


def test_connections_that_others_hold_are_told_of():
    assert judge_connections(90, 97, gateways=1, workers=1, subscribers=1).level is Level.WARN


@pytest.mark.parametrize(("skew_s", "level"), [(0.1, Level.OK), (-3, Level.WARN), (9, Level.WARN)])
def test_a_clock_that_is_off_is_told_of(skew_s: float, level: Level):
    assert judge_skew("clock", skew_s).level is level


@pytest.mark.parametrize(("major", "level"), [(13, "fail"), (15, "warn"), (18, "ok")])
def test_old_postgres_versions_are_told_of(major: int, level: str):
    assert judge_version(f"{major}.1", major).level == level


@pytest.mark.parametrize(
    ("said", "level"),
    [
        (READY, Level.OK),
        ({**READY, "status": "draining"}, Level.WARN),
        ({**READY, "redis": {"connected": False}}, Level.WARN),
        ({**READY, "postgres": {"reachable": False}}, Level.FAIL),
        ({"hello": "world"}, Level.FAIL),
    ],
)
def test_what_a_gateway_says_of_itself_is_judged(said: dict[str, object], level: Level):
    worst = max(
        (f.level for f in judge_readiness("gateway", 200, json.dumps(said).encode())),
        key=list(Level).index,
    )

    assert worst is level


def test_the_packages_of_this_installation_are_new_enough():
    assert {finding.level for finding in check_python()} == {Level.OK}


def test_the_environment_says_where_the_servers_are(tmp_path: Path):
    there = {"HOLDFAST_DATABASE_URL": "postgresql://a", "HOLDFAST_REDIS_URL": "redis://b"}

    found = addresses(there, tmp_path)

    assert (found.database_url, found.redis_url) == ("postgresql://a", "redis://b")


def test_a_running_local_stack_says_where_its_servers_are(tmp_path: Path):
    entries = [
        {"name": "redis", "pid": 1, "address": "127.0.0.1:7001"},
        {"name": "postgres", "pid": 2, "address": "127.0.0.1:7002"},
        {"name": "orchestrator-1", "pid": 3, "address": "127.0.0.1:7003"},
        {"name": "gateway-1", "pid": 4, "address": "127.0.0.1:8000"},
        {"name": "gateway-2", "pid": 5, "address": "127.0.0.1:8001"},
        {"name": "subscriber", "pid": 6, "address": "127.0.0.1:7004"},
    ]
    (tmp_path / "processes.json").write_text(json.dumps(entries))
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "password").write_text("hush\n")

    found = addresses({}, tmp_path)

    assert found.redis_url == "redis://127.0.0.1:7001/0"
    assert found.database_url is not None
    assert ":hush@127.0.0.1:7002/" in found.database_url
    assert (found.gateways, found.orchestrators, found.subscribers) == (2, 1, 1)


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", '[{"name": "postgres"}]'])
def test_a_list_of_processes_that_makes_no_sense_says_nothing(tmp_path: Path, content: str):
    (tmp_path / "processes.json").write_text(content)

    found = addresses({}, tmp_path)

    assert (found.database_url, found.redis_url) == (None, None)


def test_servers_that_are_away_fail_and_passwords_stay_untold(tmp_path: Path):
    with in_thread(FakeGateway()) as gone:
        port = gone.url.rpartition(":")[2]
    environment = {
        "HOLDFAST_DATABASE_URL": f"postgresql://me:hush@127.0.0.1:{port}/x",
        "HOLDFAST_REDIS_URL": f"redis://:hush@127.0.0.1:{port}/0",
        "HOLDFAST_URL": f"http://127.0.0.1:{port}",
    }

    result = CliRunner().invoke(
        app, ["doctor", "--json", "--data-dir", str(tmp_path)], env=environment
    )

    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    failed = {f["subject"].split()[0] for f in found if f["level"] == "fail"}
    assert failed == {"postgres", "redis", "gateway"}
    assert all(f["do"] for f in found if f["level"] != "ok")
    assert "hush" not in result.output


def test_an_address_that_is_none_is_a_finding_and_no_traceback(tmp_path: Path):
    words = ["doctor", "--url", "http://127.0.0.1:99999", "--data-dir", str(tmp_path)]

    result = CliRunner().invoke(app, words)

    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    assert "'http://127.0.0.1:99999' is not the URL of a gateway" in result.stdout


@pytest.mark.redis
@pytest.mark.postgres
def test_real_servers_that_are_well_are_found_well(
    database_url: str, redis_url: str, tmp_path: Path
):
    gateway = FakeGateway()
    gateway.answers["/readyz"] = READY
    with in_thread(gateway) as server:
        environment = {
            "HOLDFAST_DATABASE_URL": database_url,
            "HOLDFAST_REDIS_URL": redis_url,
            "HOLDFAST_URL": server.url,
        }
        result = CliRunner().invoke(app, ["doctor", "--data-dir", str(tmp_path)], env=environment)

    assert result.exit_code == 0, result.output
    assert "FAIL" not in result.stdout
    assert f"schema: {migrations()[-1].number:04}" in result.stdout


@pytest.mark.postgres
def test_a_database_without_schema_is_told_to_migrate_and_migrating_mends_it(
    empty_database_url: str,
):
    def migrate(*words: str) -> int:
        environment = {"HOLDFAST_DATABASE_URL": empty_database_url}
        return CliRunner().invoke(app, ["migrate", *words], env=environment).exit_code

    assert migrate("--status") == 1
    assert migrate() == 0
    assert migrate("--status") == 0
