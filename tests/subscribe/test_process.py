"""A subscriber as a process: how it starts, runs, is looked at, and ends; and the commands around it."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import orjson
import pytest

from holdfast.events.modules import load_plugin
from holdfast.local.ports import free_port
from holdfast.subscribe.bus import Listener, listen
from holdfast.subscribe.declared import Declared, NameTaken
from holdfast.subscribe.run_statistics import RunStatistics
from holdfast.subscribe.subscription import Subscription
from tests.factories import delta
from tests.subscribe.worlds import PostgresWorld, Seen, until

pytestmark = pytest.mark.postgres

APP = """
import os
from holdfast.subscribe import Delivery, GiveUp, Retry, listen, subscription

@subscription("files", "message.delta", retry=Retry(tries=1))
async def write(event: Delivery) -> None:
    if "poison" in event.data["text"] and not os.path.exists({mark!r}):
        raise GiveUp("cannot take this")
    with open({path!r}, "a") as file:
        print(event.session_id, event.seq, file=file)

@listen("run.*")
def look(event: Delivery) -> None: ...
"""


def app(place: Path) -> Path:
    """A file of an application's own."""
    file = place / "my_subscribers.py"
    file.write_text(APP.format(path=str(place / "seen"), mark=str(place / "mended")))
    return file


def start(url: str, *words: str, port: int | None = None) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "HOLDFAST_DATABASE_URL": url,
        "HOLDFAST_POLL_S": "0.05",
        **({} if port is None else {"HOLDFAST_OPS_PORT": str(port)}),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "holdfast.cli", "subscribe", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def command(url: str, *words: str) -> tuple[int, str, str]:
    """Run a `holdfast subscriptions` command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast.cli", "subscriptions", *words),
        env={**os.environ, "HOLDFAST_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_it_handles_shows_its_numbers_and_ends_politely(
    postgres_world: PostgresWorld, tmp_path: Path
) -> None:
    world, port = postgres_world, free_port("127.0.0.1")
    one = await world.session("one", 3)
    process = start(world.url, str(app(tmp_path)), port=port)
    try:
        await until(lambda: _lines(tmp_path) == 3)
        await one.append(delta("more"))
        await until(lambda: _lines(tmp_path) == 4)
        metrics = await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/metrics")
        ready = await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/readyz")
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = await asyncio.to_thread(process.communicate, timeout=20)

    assert process.returncode == 0, (out, err)
    assert 'holdfast_subscription_handle_seconds_count{subscription="files"} 4.0' in metrics
    assert ready == "ready\n"
    assert b"subscriber.stopped" in out
    [info] = await world.subscriptions.all()
    assert (info.owner, info.lag) == (None, 0)


async def test_the_command_line_shows_replays_and_resets(
    postgres_world: PostgresWorld, tmp_path: Path
) -> None:
    world = postgres_world
    one = await world.session("one", 1)
    await one.append(delta("poison"), delta("after"))
    process = start(world.url, str(app(tmp_path)))
    try:
        await until(lambda: _dead(world))
        await until(lambda: _lines(tmp_path) == 2)
        _, letters, _ = await command(world.url, "dead-letters", "list", "files", "--json")
        [letter] = orjson.loads(letters)
        (tmp_path / "mended").touch()
        replayed = await command(world.url, "dead-letters", "replay", "files", letter["key"])
        await until(lambda: _lines(tmp_path) == 3)
        await command(world.url, "reset", "files", "--to", "beginning", "--yes")
        await until(lambda: _lines(tmp_path) == 6)
        _, listed, _ = await command(world.url, "list")
        _, shown, _ = await command(world.url, "show", "files", "--json")
    finally:
        process.kill()
        await asyncio.to_thread(process.communicate)

    assert (letter["seq"], letter["error"]) == (3, "GiveUp: cannot take this")
    assert replayed[:2] == (0, "1 tried anew\n")
    assert listed.startswith("files\t0\t")
    assert orjson.loads(shown)["dead"] == 0


async def test_what_the_command_line_cannot_do_it_says(postgres_world: PostgresWorld) -> None:
    url = postgres_world.url
    for words, says in (
        (("show", "nobody"), "no subscription 'nobody'"),
        (("dead-letters", "list", "nobody"), "no subscription 'nobody'"),
        (("dead-letters", "replay", "nobody"), "--all"),
        (("dead-letters", "discard", "x", "what", "-y"), "is no key"),
        (("reset", "x", "--to", "yesterday", "-y"), "is no position"),
        (("rebuild", "x", "holdfast.subscribe.run_statistics", "-y"), "run-statistics"),
    ):
        status, _, error = await command(url, *words)
        assert (status, says in error) == (2, True), (words, error)


async def test_a_process_that_has_nothing_to_do_says_so(
    postgres_world: PostgresWorld, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_this_name")
    process = start(postgres_world.url, str(broken))
    _, error = await asyncio.to_thread(process.communicate, timeout=20)

    assert process.returncode == 2
    assert b"nothing_of_this_name" in error


def test_help_tells_what_it_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "holdfast.subscribe", "--help"], capture_output=True, check=True
    )

    assert b"HOLDFAST_SUBSCRIBERS" in done.stderr


def test_what_a_file_declares_is_found_and_names_are_taken_once(tmp_path: Path) -> None:
    declared = Declared()
    declared.load([str(app(tmp_path)), "holdfast.subscribe.run_statistics", "no_such_module"])

    assert declared.names == ["files", "run-statistics"]
    assert len(declared.listeners) == 1
    assert list(declared.broken) == ["no_such_module"]
    with pytest.raises(NameTaken):
        declared.take(Seen().subscription(name="files"))
    with pytest.raises(NameTaken):
        declared.take(Seen().subscription(name="run-statistics"))


def test_an_entry_point_names_a_module_or_one_thing_in_it() -> None:
    assert load_plugin("holdfast.subscribe.run_statistics:RunStatistics") is RunStatistics
    declared = Declared()
    assert declared.take(load_plugin("holdfast.subscribe.run_statistics")) == 1
    assert declared.take(load_plugin("holdfast.subscribe.run_statistics:RunStatistics")) == 1
    assert isinstance(listen("a.b")(print), Listener)
    assert isinstance(Seen().subscription(), Subscription)


def _lines(place: Path) -> int:
    seen = place / "seen"
    return len(seen.read_text().splitlines()) if seen.exists() else 0


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


async def _dead(world: PostgresWorld) -> bool:
    return any(info.dead for info in await world.subscriptions.all())
