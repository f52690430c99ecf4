"""A disk of a few megabytes that can be filled to the last byte, in memory."""

import errno
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_PIECE = bytes(256 * 1024)


class SmallDisk:
    """Made by `small_disk`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Leave room for nothing."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (len(_PIECE), 4096, 1):
                # The last pages in pieces of a page: what a database asks for.
                with suppress(OSError):
                    while file.write(_PIECE[:size]) == size:
                        pass
        assert shutil.disk_usage(self.path).free == 0

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink()


@contextmanager
def small_disk(path: Path, megabytes: int) -> Generator[SmallDisk]:
    """Mount a disk of this size at `path` for the length of a with block. Needs root, or a sudo that asks nothing."""
    path.mkdir()
    _as_root(
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size={megabytes}m,mode=755,uid={os.geteuid()}",
        "tmpfs",
        str(path),
    )
    try:
        yield SmallDisk(path)
    finally:
        # Lazily: whoever still ends there doesn't keep it.
        _as_root("umount", "--lazy", str(path))


def _as_root(*command: str) -> None:
    sudo = () if os.geteuid() == 0 else ("sudo", "-n")
    try:
        subprocess.run([*sudo, *command], check=True, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (
            error.stderr
            if isinstance(error, subprocess.CalledProcessError)
            else os.strerror(error.errno or errno.EPERM)
        )
        pytest.fail(
            f"`{' '.join(command[:3])}` is refused ({said.strip()}): run as root, or allow sudo without a password"
        )
