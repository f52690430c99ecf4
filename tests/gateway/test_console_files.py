"""The console's files: what is served is what was found, and nothing else can be reached."""

import gzip
import os
import re
from pathlib import Path

import pytest

from holdfast.gateway.console.files import ASSETS, PAGE, Files


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A directory with a page, a script that is worth packing, and things that are none of the console's."""
    directory = tmp_path / "assets"
    directory.mkdir()
    (directory / PAGE).write_text("<!doctype html>")
    (directory / "console-1.js").write_text("// seaweed\n" * 200)
    (directory / "notes.txt").write_text("not for the world")
    (directory / "deeper").mkdir()
    (directory / "deeper" / "inner.js").write_text("1")
    (tmp_path / "secret.js").write_text("password")
    return directory


def test_every_file_that_the_shipped_page_names_is_shipped():
    """The page, its script and its styles are committed together, or the console of a wheel stays blank."""
    files = Files()
    page = files.page()

    assert page is not None
    named = re.findall(r'"/console/assets/([^"]+)"', page.content.decode())
    assert len(named) == 4
    assert [name for name in named if files.asset(name) is None] == []
    assert {path.name for path in ASSETS.iterdir()} == {PAGE, *named}


def test_the_shipped_page_has_nothing_inline_and_names_no_other_host():
    """What the policy would refuse isn't there in the first place."""
    page = (ASSETS / PAGE).read_text()

    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|\bstyle=|https?://", page) == []


@pytest.mark.parametrize(
    "name",
    [
        "../secret.js",
        "..%2fsecret.js",
        "deeper/inner.js",
        "deeper",
        "notes.txt",
        PAGE,
        "",
        ".",
        "/etc/hostname",
        "console-1.js\0",
        "CONSOLE-1.JS",
    ],
)
def test_what_the_page_could_not_name_is_not_there(built: Path, name: str):
    assert Files(built).asset(name) is None


def test_a_file_is_packed_once_and_the_same_on_every_replica(built: Path):
    one, other = Files(built).asset("console-1.js"), Files(built).asset("console-1.js")

    assert one == other
    assert one is not None
    assert one.packed is not None
    assert gzip.decompress(one.packed) == one.content
    assert len(one.packed) < len(one.content)


def test_what_is_built_while_the_gateway_runs_is_served(built: Path):
    """A developer's build, or a package that is upgraded in place: the page names new files, and they are there."""
    files = Files(built)
    before = files.page()
    (built / "console-2.js").write_text("2")
    (built / PAGE).write_text("<!doctype html><title>2</title>")
    later = built.stat().st_mtime_ns + 1_000_000_000
    os.utime(built, ns=(later, later))

    after = files.page()

    assert before is not None
    assert after is not None
    assert before.etag != after.etag
    assert files.asset("console-2.js") is not None


def test_files_that_are_gone_for_a_moment_are_served_from_memory(built: Path):
    files = Files(built)
    page = files.page()
    built.rename(built.with_name("moved"))

    assert files.page() == page
    assert files.asset("console-1.js") is not None


def test_a_console_that_was_never_built_has_no_page(tmp_path: Path):
    assert Files(tmp_path / "nowhere").page() is None
