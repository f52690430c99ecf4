"""`run_dev` called as a function: what it returns, and what it says when it can't go on."""

import sys
from pathlib import Path

import pytest

from holdfast.local.options import DevOptions
from holdfast.local.supervisor import run_dev

STANDIN = (sys.executable, str(Path(__file__).with_name("standin.py")))

pytestmark = [pytest.mark.e2e, pytest.mark.redis, pytest.mark.postgres]


@pytest.fixture
def options(server_dir):
    async def no_migrations(database_url):
        pass

    return {
        "data_dir": server_dir / "stack",
        "port": 0,
        "quiet": True,
        "gateway_command": STANDIN,
        "orchestrator_command": STANDIN,
        "migrate": no_migrations,
    }


async def test_a_service_that_never_gets_ready_is_named_with_its_log(options, monkeypatch, capsys):
    monkeypatch.setattr("holdfast.local.supervisor.READY_SECONDS", 0.5)
    said = []

    options["gateway_command"] = (*STANDIN, "deaf")
    status = await run_dev(DevOptions(**options), on_line=said.append)

    assert status == 1
    assert said == []
    log = options["data_dir"] / "logs" / "gateway-1.log"
    assert f"gateway-1 is not ready after 0 s; it says why in {log}" in capsys.readouterr().err


async def test_a_machine_without_redis_is_told_what_to_install(options, monkeypatch, capsys):
    monkeypatch.setattr("holdfast.local.ladder.redis_binaries", list)
    monkeypatch.setattr("holdfast.local.ladder.docker_answers", lambda: False)

    assert await run_dev(DevOptions(**options)) == 2
    assert "found no Redis to run; install one with: " in capsys.readouterr().err


async def test_an_error_of_a_migration_ends_the_stack(options):
    """It is a bug or a broken database, not an answer: it is raised, and nothing keeps running."""

    async def broken(database_url):
        raise ValueError("broken")

    options["migrate"] = broken
    with pytest.raises(ValueError, match="broken"):
        await run_dev(DevOptions(**options))
    assert (options["data_dir"] / "processes.json").read_text() == "[]\n"
