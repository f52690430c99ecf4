import os
import signal
import socket

import pytest
import redis

from holdfast.local.errors import PortTaken, ServerFailed
from holdfast.local.ladder import redis_binaries, redis_binary
from holdfast.local.redis_server import RedisServer, redis_version
from tests.servers import redis_names

pytestmark = [pytest.mark.redis, pytest.mark.fault]


@pytest.fixture(params=redis_names())
def server(server_dir, request):
    """Each Redis of this machine."""
    binary = next(b for b in redis_binaries() if redis_version(b) == request.param)
    with RedisServer(server_dir / "redis", binary=binary) as server:
        yield server


def client_of(server):
    return redis.Redis.from_url(server.url)


def test_it_is_set_up_as_holdfast_wants_it(server):
    with client_of(server) as client:
        assert client.info("server")["redis_version"] == server.version
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("bind")["bind"] == "127.0.0.1"


def test_its_data_and_its_url_survive_a_restart(server):
    url = server.url
    with client_of(server) as client:
        client.xadd("kept", {"answer": 42}, id="7-0")
    first = server.pid

    server.restart()

    assert server.url == url
    assert server.pid != first
    with client_of(server) as client:
        assert client.xrange("kept")[0][0] == b"7-0"


def test_what_was_synced_survives_a_kill(server):
    with client_of(server) as client:
        client.config_set("appendfsync", "always")
        client.set("kept", "42")

    server.kill()
    assert server.pid is None
    server.start()

    with client_of(server) as client:
        assert client.get("kept") == b"42"


def test_a_kill_from_outside_is_noticed_and_can_be_mended(server):
    os.kill(server.pid, signal.SIGKILL)
    server._process.wait()

    assert not server.is_running()
    server.start()
    with client_of(server) as client:
        assert client.ping()


def test_starting_and_stopping_twice_changes_nothing(server):
    first = server.pid
    server.start()
    assert server.pid == first
    server.stop()
    server.stop()
    assert server.pid is None


def test_a_taken_port_is_named(server_dir, monkeypatch):
    monkeypatch.setattr("holdfast.local.server.PORT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port}: the port is taken"):
            RedisServer(server_dir / "redis", port=port, binary=redis_binary()).start()


def test_another_redis_on_the_port_is_not_taken_for_ours(server, server_dir, monkeypatch):
    """It answers PING as well as ours would."""
    monkeypatch.setattr("holdfast.local.server.PORT_SECONDS", 0.3)
    second = RedisServer(server_dir / "second", port=server.port, binary=server.binary)

    with pytest.raises(PortTaken):
        second.start()


def test_a_port_lost_between_choice_and_start_is_chosen_anew(server, server_dir, monkeypatch):
    ports = iter([server.port, None])
    from holdfast.local import server as module

    choose = module.free_port
    monkeypatch.setattr(module, "free_port", lambda host, **_: next(ports, None) or choose(host))

    with RedisServer(server_dir / "second", binary=server.binary) as second:
        assert second.port != server.port
        with client_of(second) as client:
            assert client.ping()


def test_what_it_said_is_in_the_error(server_dir):
    broken = RedisServer(
        server_dir / "redis", binary=redis_binary(), settings={"appendfsync": "never-ever"}
    )

    with pytest.raises(ServerFailed, match="never-ever"):
        broken.start()
    assert not broken.is_running()
