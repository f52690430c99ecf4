import os
import signal
import subprocess
import threading
import time

import asyncpg
import psycopg
import pytest

from holdfast.local.errors import ServerFailed, WrongMajor
from holdfast.local.ladder import postgres_bin_dir, postgres_bin_dirs
from holdfast.local.postgres_account import account_for
from holdfast.local.postgres_server import PostgresServer, major_of, postgres_version

pytestmark = [pytest.mark.postgres, pytest.mark.fault]


def make_table(server):
    with psycopg.connect(server.url) as connection:
        connection.execute("create table kept as select 42 as answer")


def kept(server):
    with psycopg.connect(server.url) as connection:
        return connection.execute("select answer from kept").fetchone()


async def test_both_drivers_reach_it_and_it_is_durable(own_postgres):
    connection = await asyncpg.connect(own_postgres.url)
    settings = [await connection.fetchval(f"show {name}") for name in DURABLE]
    await connection.close()

    assert settings == list(DURABLE.values())
    with psycopg.connect(own_postgres.url) as other:
        assert other.info.parameter_status("server_version").startswith(own_postgres.version)


DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "data_checksums": "on",
    "server_encoding": "UTF8",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
}


def test_nobody_gets_in_without_the_password(own_postgres):
    """Every user of the machine reaches loopback, and this role may run programs."""
    stranger = own_postgres.url.replace(own_postgres._the_password(), "guess")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(stranger)
    for secret in own_postgres.data_dir.glob("password*"):
        assert secret.stat().st_mode & 0o077 == 0


def test_its_data_and_its_url_survive_a_restart(own_postgres):
    make_table(own_postgres)
    url = own_postgres.url

    own_postgres.restart()

    assert own_postgres.url == url
    assert kept(own_postgres) == (42,)


def test_a_later_object_on_the_directory_finds_the_data(own_postgres):
    make_table(own_postgres)
    own_postgres.stop()

    with PostgresServer(own_postgres.data_dir, binary=own_postgres.bin_dir) as later:
        assert kept(later) == (42,)


@pytest.mark.parametrize("immediate", [False, True])
def test_what_was_committed_survives_a_crash(own_postgres, immediate):
    make_table(own_postgres)

    own_postgres.kill(immediate=immediate)
    assert own_postgres.pid is None
    own_postgres.start()

    assert kept(own_postgres) == (42,)


def test_it_comes_back_while_backends_of_the_killed_one_still_live(own_postgres):
    """Postgres refuses the data until they are gone; the start waits and deletes nothing."""
    make_table(own_postgres)
    busy = psycopg.connect(own_postgres.url)
    backend = busy.info.backend_pid
    # A stopped process notices nothing: the longest-lived backend there can be.
    os.kill(backend, signal.SIGSTOP)
    own_postgres.kill()
    wake = threading.Timer(1.5, os.kill, (backend, signal.SIGCONT))
    wake.start()
    started = time.monotonic()
    own_postgres.start()

    assert time.monotonic() - started > 1.0
    assert kept(own_postgres) == (42,)
    wake.join()
    busy.close()


def test_a_stale_pid_file_of_a_dead_server_is_no_obstacle(own_postgres):
    own_postgres.kill()
    assert (own_postgres.cluster / "postmaster.pid").exists()

    own_postgres.start()

    assert own_postgres.pid is not None


def test_a_pid_file_that_names_a_living_process_is_respected(own_postgres, monkeypatch):
    """It may be a server on the same data: then waiting is right, and deleting the file ruin."""
    monkeypatch.setattr("holdfast.local.server.START_SECONDS", 1.0)
    own_postgres.stop()
    account = account_for(own_postgres.cluster)
    other = subprocess.Popen(["sleep", "60"], **({} if account is None else {"user": account.uid}))
    pid_file = own_postgres.cluster / "postmaster.pid"
    pid_file.write_text(f"{other.pid}\n{own_postgres.cluster}\n0\n1\n\n\n0 0\nready\n")
    if account is not None:
        os.chown(pid_file, *account)

    with pytest.raises(ServerFailed, match=r"in 1 s\n(?s:.*)postmaster\.pid"):
        own_postgres.start()

    assert pid_file.exists()
    other.kill()
    other.wait()
    own_postgres.start()


def test_an_interrupted_first_start_is_begun_anew(server_dir):
    data_dir = server_dir / "postgres"
    (data_dir / "cluster.new" / "base").mkdir(parents=True)

    with PostgresServer(data_dir, binary=postgres_bin_dir()) as server:
        make_table(server)
    assert not (data_dir / "cluster.new").exists()


def test_data_of_another_major_version_is_refused_clearly(server_dir):
    data_dir = server_dir / "postgres"
    with PostgresServer(data_dir, binary=postgres_bin_dir()) as server:
        (server.cluster / "PG_VERSION").read_text()
        version = server.cluster / "PG_VERSION"
    version.write_text("9\n")

    with pytest.raises(WrongMajor, match="was made by Postgres 9 and the one to start is"):
        PostgresServer(data_dir, binary=postgres_bin_dir()).start()


def test_of_several_installations_the_one_that_made_the_data_is_chosen(server_dir):
    """An upgrade of the wheel must not lock anybody out of their data."""
    oldest = postgres_bin_dirs()[-1]
    data_dir = server_dir / "postgres"
    with PostgresServer(data_dir, binary=oldest):
        pass

    chosen = postgres_bin_dir(data_dir)
    assert major_of(postgres_version(chosen)) == major_of(postgres_version(oldest))


def test_a_directory_that_the_servers_user_cannot_reach_works_all_the_same(server_dir, monkeypatch):
    """As root the server is somebody else, whom a closed home keeps out; it stays closed."""
    monkeypatch.setattr("holdfast.local.postgres_account.SHARED_DIR", server_dir / "shared")
    closed = server_dir / "home"
    closed.mkdir(mode=0o700)

    with PostgresServer(closed / "postgres", binary=postgres_bin_dir()) as server:
        make_table(server)
        moved = server.cluster.is_relative_to(server_dir / "shared")
    assert moved == (os.geteuid() == 0)
    assert closed.stat().st_mode & 0o777 == 0o700
    with PostgresServer(closed / "postgres", binary=postgres_bin_dir()) as server:
        assert kept(server) == (42,)


def test_programs_that_the_servers_user_cannot_reach_work_all_the_same(server_dir, monkeypatch):
    """A virtual environment under a closed home."""
    monkeypatch.setattr("holdfast.local.postgres_account.SHARED_DIR", server_dir / "shared")
    installation = postgres_bin_dir().parent
    package = installation.parent
    closed = server_dir / "home"
    closed.mkdir(mode=0o700)
    (closed / package.name).mkdir()
    for path in (f"{package.name}/{installation.name}", f"{package.name}.libs"):
        subprocess.run(["cp", "-r", str(package.parent / path), str(closed / path)], check=True)

    for _ in range(2):
        binary = closed / package.name / installation.name / "bin"
        with PostgresServer(server_dir / "postgres", binary=binary) as server:
            assert server.pid is not None
            assert (server.bin_dir == binary) == (os.geteuid() != 0)


def test_a_start_can_be_given_up_from_another_thread(own_postgres):
    own_postgres.kill()
    pid_file = own_postgres.cluster / "postmaster.pid"
    named = pid_file.read_text()
    pid_file.write_text("")  # keeps Postgres from starting
    failures = []

    def start():
        try:
            own_postgres.start()
        except ServerFailed as error:
            failures.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    time.sleep(0.2)
    own_postgres.give_up()
    thread.join(5)

    assert [failure.reason for failure in failures] == ["it is no longer wanted"]
    assert not own_postgres.is_running()
    # A killed server's shared memory is freed by the next one on the data.
    pid_file.write_text(named)
    with PostgresServer(own_postgres.data_dir, binary=own_postgres.bin_dir):
        pass
