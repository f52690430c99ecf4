import subprocess
import sys
from typing import Any

import pytest

from holdfast.gateway.settings import Settings, SettingsError, is_loopback, load_settings

ENOUGH = {
    "database_url": "postgresql://u:hunter2@127.0.0.1/x",
    "redis_url": "redis://:hunter2@127.0.0.1/0",
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv("HOLDFAST_" + name.upper(), raising=False)


def problems(**given: Any) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        load_settings(**{**ENOUGH, **given})
    return refusal.value.problems


def test_every_problem_is_one_sentence_that_names_the_variable():
    with pytest.raises(SettingsError) as refusal:
        load_settings(port=70000, heartbeat_s=0, log_level="loud")

    said = refusal.value.problems
    assert len(said) == 5
    assert {sentence.partition(" ")[0].rstrip(":") for sentence in said} == {
        "HOLDFAST_DATABASE_URL",
        "HOLDFAST_REDIS_URL",
        "HOLDFAST_PORT",
        "HOLDFAST_HEARTBEAT_S",
        "HOLDFAST_LOG_LEVEL",
    }


def test_no_message_and_no_repr_shows_a_password():
    settings = load_settings(**ENOUGH)

    said = problems(database_url="mysql://u:hunter2@x/y", redis_url="hunter2")

    assert len(said) == 2
    assert "hunter2" not in repr(settings) + str(settings) + " ".join(said)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])
def test_this_machines_own_addresses_are_loopback(host: str):
    assert is_loopback(host)
    assert load_settings(**ENOUGH, host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.com", ""])
def test_an_address_that_others_reach_is_refused_until_somebody_says_that_there_is_no_auth(
    host: str,
):
    (said,) = problems(host=host)

    assert "HOLDFAST_I_KNOW_THERE_IS_NO_AUTH=1" in said
    assert load_settings(**ENOUGH, host=host, i_know_there_is_no_auth=True).host == host


def test_variables_of_other_programs_are_no_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOLDFAST_LEASE_S", "15")
    monkeypatch.setenv("HOLDFAST_CORS_ORIGINS", "https://a.example, http://localhost:3000/")

    settings = load_settings(**ENOUGH)

    assert settings.cors_origins == ("https://a.example", "http://localhost:3000")


@pytest.mark.parametrize("origins", ["*", "a.example", "https://a.example/path", "null"])
def test_only_whole_origins_are_taken(origins: str):
    (said,) = problems(cors_origins=origins)

    assert said.startswith("HOLDFAST_CORS_ORIGINS: each origin is scheme://host[:port]")


@pytest.mark.parametrize("hosts", ["*", "a.example:80", "https://a.example", "a b"])
def test_only_plain_names_are_taken_as_hosts(hosts: str):
    (said,) = problems(hosts=hosts)

    assert said.startswith("HOLDFAST_HOSTS: each is a name or an address without a port")
    assert load_settings(**ENOUGH, hosts="A.example, [::2]").hosts == ("a.example", "::2")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--host", "0.0.0.0"], "HOLDFAST_HOST=0.0.0.0 can be reached from other machines"),
        (["--port", "99999"], "HOLDFAST_PORT: "),
    ],
)
def test_a_wrong_start_ends_with_2_and_sentences_and_no_traceback(argv: list[str], said: str):
    done = subprocess.run(
        [sys.executable, "-m", "holdfast.gateway", *argv],
        env={
            "PATH": "",
            "HOLDFAST_DATABASE_URL": ENOUGH["database_url"],
            "HOLDFAST_REDIS_URL": ENOUGH["redis_url"],
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
