"""`holdfast dev` on real servers, with stand-ins for the gateway and the orchestrator."""

import os
import signal
import socket
import time
from pathlib import Path

import psycopg
import pytest
import redis

from holdfast.local.ladder import redis_binary
from holdfast.local.redis_server import RedisServer
from holdfast.local.service import STOP_SECONDS
from tests.local.dev import Dev, all_gone, eventually, get

pytestmark = [pytest.mark.e2e, pytest.mark.redis, pytest.mark.postgres]


@pytest.fixture
def data_dir(server_dir: Path) -> Path:
    return server_dir / "stack"


def test_ready_is_said_when_everything_serves(data_dir):
    """One line, and behind it both servers, every orchestrator and every gateway; then where people look."""
    with Dev(data_dir, gateways=2, orchestrators=2) as dev:
        url = dev.wait_ready()
        assert dev.process.stdout is not None
        assert next(dev.process.stdout) == f"console {url}/console\n"

        processes = dev.processes()
        names = ["redis", "postgres", "orchestrator-1", "orchestrator-2", "gateway-1", "gateway-2"]
        assert list(processes) == names
        for name in names[2:]:
            said = get(f"http://{processes[name]['address']}/readyz")
            assert said["pid"] == processes[name]["pid"]
        assert url == f"http://{processes['gateway-1']['address']}"


def test_a_console_that_is_off_is_not_announced(data_dir):
    with Dev(data_dir, env={"HOLDFAST_CONSOLE": "false"}) as dev:
        dev.wait_ready()
        dev.process.send_signal(signal.SIGTERM)

        assert dev.process.stdout is not None
        assert dev.process.stdout.read() == ""


def test_every_child_gets_our_environment_and_its_own_address(data_dir):
    with Dev(data_dir, env={"SECRET_OF_MINE": "42"}, app=["shop.workflows", "shop/more.py"]) as dev:
        dev.wait_ready()
        processes = dev.processes()
        gateway = get(f"http://{processes['gateway-1']['address']}/readyz")
        orchestrator = get(f"http://{processes['orchestrator-1']['address']}/readyz")

        for said in (gateway, orchestrator):
            assert said["env"]["SECRET_OF_MINE"] == "42"
            assert said["env"]["HOLDFAST_REDIS_URL"].startswith("redis://")
            with psycopg.connect(said["env"]["HOLDFAST_DATABASE_URL"]) as connection:
                assert connection.execute("show fsync").fetchone() == ("on",)
        assert gateway["env"]["HOLDFAST_HOST"] == "127.0.0.1"
        assert processes["gateway-1"]["address"].endswith(":" + gateway["env"]["HOLDFAST_PORT"])
        assert orchestrator["env"]["HOLDFAST_WORKER_NAME"] == "orchestrator-1"
        assert orchestrator["env"]["HOLDFAST_WORKFLOWS"] == "shop.workflows,shop/more.py"


def test_what_a_child_prints_is_shown_with_its_name_and_kept(data_dir):
    with Dev(data_dir) as dev:
        dev.wait_ready()

        eventually(lambda: "gateway-1 | gateway says hello\n" in dev.stderr, "it is shown")
        assert (data_dir / "logs" / "gateway-1.log").read_text() == "gateway says hello\n"
        assert (data_dir / "logs" / "postgres.log").stat().st_size > 0


def test_quiet_keeps_what_children_print_in_their_logs(data_dir):
    with Dev(data_dir, quiet=True) as dev:
        dev.wait_ready()

        log = data_dir / "logs" / "gateway-1.log"
        eventually(lambda: "hello" in log.read_text(), "it is in the log")
        assert "hello" not in dev.stderr


def test_data_survives_a_restart_of_the_stack(data_dir):
    with Dev(data_dir) as dev:
        env = get(f"{dev.wait_ready()}/readyz")["env"]
        with psycopg.connect(env["HOLDFAST_DATABASE_URL"]) as connection:
            connection.execute("create table kept as select 42 as answer")
        with redis.Redis.from_url(env["HOLDFAST_REDIS_URL"]) as client:
            client.xadd("kept", {"answer": 42}, id="7-0")

    with Dev(data_dir) as dev:
        env = get(f"{dev.wait_ready()}/readyz")["env"]
        with psycopg.connect(env["HOLDFAST_DATABASE_URL"]) as connection:
            assert connection.execute("select answer from kept").fetchone() == (42,)
        with redis.Redis.from_url(env["HOLDFAST_REDIS_URL"]) as client:
            assert client.xrange("kept")[0][0] == b"7-0"


@pytest.mark.fault
def test_a_killed_service_comes_back_where_it_was(data_dir):
    with Dev(data_dir) as dev:
        dev.wait_ready()
        before = dev.processes()
        for name in ("gateway-1", "orchestrator-1"):
            os.kill(before[name]["pid"], signal.SIGKILL)

        for name in ("gateway-1", "orchestrator-1"):
            new = dev.wait_restarted(name, before[name]["pid"])
            address = dev.processes()[name]["address"]
            assert address == before[name]["address"]

            def answers(address=address, new=new):
                try:
                    return get(f"http://{address}/readyz")["pid"] == new
                except OSError:
                    return False

            eventually(answers, f"{name} answers again")


@pytest.mark.fault
def test_killed_servers_come_back_on_their_ports_with_their_data(data_dir):
    with Dev(data_dir) as dev:
        env = get(f"{dev.wait_ready()}/readyz")["env"]
        with psycopg.connect(env["HOLDFAST_DATABASE_URL"]) as connection:
            connection.execute("create table kept as select 42 as answer")
        before = dev.processes()
        for name in ("redis", "postgres"):
            os.kill(before[name]["pid"], signal.SIGKILL)

        for name in ("redis", "postgres"):
            dev.wait_restarted(name, before[name]["pid"])
            assert dev.processes()[name]["address"] == before[name]["address"]

        def rows():
            try:
                with psycopg.connect(env["HOLDFAST_DATABASE_URL"]) as connection:
                    return connection.execute("select answer from kept").fetchall()
            except psycopg.OperationalError:
                return None  # it replays its log

        assert eventually(rows, "Postgres answers again") == [(42,)]
        with redis.Redis.from_url(env["HOLDFAST_REDIS_URL"]) as client:
            eventually(client.ping, "Redis answers again")


@pytest.mark.fault
def test_a_killed_supervisor_leaves_nothing_behind(data_dir):
    """And the next one starts on the same directory at once, without another word."""
    with Dev(data_dir) as dev:
        dev.wait_ready()
        family = dev.family()
        assert len(family) > 5
        dev.process.kill()

        eventually(lambda: all_gone(family), "every process is gone")
        eventually(lambda: dev.processes() == {}, "the list of processes is empty")

    with Dev(data_dir) as dev:
        dev.wait_ready()


@pytest.mark.fault
def test_the_next_one_waits_until_a_killed_one_is_cleared_away(data_dir):
    """Two Redis on one append-only file would destroy it, so the lock outlives the crash."""
    with Dev(data_dir, traits=["stubborn"]) as dev:
        dev.wait_ready()
        family = dev.family()
        dev.process.kill()

        with Dev(data_dir) as successor:
            successor.wait_ready()
            assert all_gone(family)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_in_order(data_dir, number):
    """Gateways, then orchestrators, and Redis still there for both."""
    log = data_dir.with_suffix(".order")
    with Dev(data_dir, env={"STANDIN_LOG": str(log)}) as dev:
        dev.wait_ready()
        family = dev.family()
        dev.process.send_signal(number)

        assert dev.wait_end() == 0
        assert all_gone(family)
        assert log.read_text().splitlines() == ["gateway True", "orchestrator-1 True"]
        assert dev.processes() == {}


def test_a_second_signal_ends_everything_at_once(data_dir):
    with Dev(data_dir, traits=["stubborn"]) as dev:
        dev.wait_ready()
        family = dev.family()
        dev.process.send_signal(signal.SIGINT)
        started = time.monotonic()
        # Both signals sent at once would be one; the gateway ignores the first one's SIGTERM.
        time.sleep(0.3)
        assert dev.process.poll() is None
        dev.process.send_signal(signal.SIGINT)

        assert dev.wait_end() == 0
        assert time.monotonic() - started < STOP_SECONDS / 2
        assert all_gone(family)


def test_a_signal_while_it_starts_ends_it_too(data_dir):
    with Dev(data_dir) as dev:
        eventually(lambda: dev.pid("redis") if _listed(data_dir) else None, "Redis has started")
        family = dev.family()
        dev.process.send_signal(signal.SIGINT)

        assert dev.wait_end() == 0
        assert all_gone(family)


def _listed(data_dir: Path) -> bool:
    return (data_dir / "processes.json").exists()


def test_a_taken_port_is_said_in_one_sentence(data_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Dev(data_dir, port=port) as dev:
            assert dev.wait_end() == 2
            assert dev.stderr == (
                f"holdfast dev: error: gateway-1 cannot listen on 127.0.0.1:{port}: "
                "the port is taken\n"
            )


def test_a_second_one_on_the_same_directory_is_told_whose_it_is(data_dir):
    with Dev(data_dir) as dev:
        dev.wait_ready()
        with Dev(data_dir) as second:
            assert second.wait_end() == 2
        assert f"in use by the `holdfast dev` with pid {dev.process.pid}" in second.stderr
        assert dev.pid("gateway-1") is not None


def test_a_server_given_by_url_is_used_and_left_alone(data_dir, server_dir):
    with (
        RedisServer(server_dir / "given", binary=redis_binary()) as given,
        Dev(data_dir, env={"HOLDFAST_REDIS_URL": given.url}) as dev,
    ):
        env = get(f"{dev.wait_ready()}/readyz")["env"]
        assert env["HOLDFAST_REDIS_URL"] == given.url
        assert dev.processes()["redis"] == {"name": "redis", "pid": None, "address": given.address}
        dev.process.send_signal(signal.SIGTERM)
        assert dev.wait_end() == 0

        assert given.is_running()
