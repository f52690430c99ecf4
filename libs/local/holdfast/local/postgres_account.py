"""Postgres refuses to run as root: then it runs as another user, who must reach its files.

Nothing above the data directory changes its permissions. Where that user may not walk to it (a
project under a home directory that is closed to others), the cluster lives under SHARED_DIR instead
and a file in the data directory says where.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from holdfast.local.errors import ServerFailed
from holdfast.local.processes import Account

# The user of a packaged Postgres, else the one every system has. Nothing is added to the system.
USER_NAMES = ("postgres", "nobody")

SHARED_DIR = Path("/var/lib/holdfast")

# Where the cluster of this data directory is, if not in it.
ELSEWHERE = "cluster-is-at"

PROBE_SECONDS = 10.0


def account_for(cluster: Path) -> Account | None:
    """Return the user to run this cluster's server as; None for our own, which is all but root."""
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in USER_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise ServerFailed("postgres", f"it refuses to run as root and there is no {USER_NAMES[-1]!r}")


def _run_as(account: Account, *command: str) -> bool:
    try:
        answer = subprocess.run(
            command,
            user=account.uid,
            group=account.gid,
            extra_groups=(),
            cwd="/",
            capture_output=True,
            check=False,
            timeout=PROBE_SECONDS,
        )
    except PermissionError:
        return False
    return answer.returncode == 0


def place_of(data_dir: Path, account: Account | None) -> Path:
    """Return the directory that holds the cluster of `data_dir`: itself, or one that `account` can
    reach.
    """
    if account is None:
        return data_dir
    note = data_dir / ELSEWHERE
    if note.exists():
        return Path(note.read_text(encoding="utf-8").strip())
    if _run_as(account, "/bin/sh", "-c", 'test -x "$1"', "sh", str(data_dir)):
        return data_dir
    # A new one each time: under a name made from the path, a data directory that was deleted and
    # made anew would find its old cluster and not the password.
    place = Path(tempfile.mkdtemp(prefix="data-", dir=_shared()))
    place.chmod(0o755)
    note.write_text(f"{place}\n", encoding="utf-8")
    return place


def reachable_programs(bin_dir: Path, account: Account | None) -> Path:
    """Return `bin_dir`, or a copy of its installation that `account` can run (a wheel in a closed
    home).
    """
    if account is None or _run_as(account, str(bin_dir / "initdb"), "--version"):
        return bin_dir
    installation, package = bin_dir.parent, bin_dir.parent.parent
    stamp = (bin_dir / "postgres").stat()
    same = hashlib.sha256(f"{installation} {stamp.st_mtime_ns} {stamp.st_size}".encode())
    copy = _shared() / f"programs-{same.hexdigest()[:16]}"
    if not copy.exists():
        # Under another name until whole: a copy cut short must never be taken for one.
        half = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(installation, half / package.name / installation.name, symlinks=True)
        # A wheel's programs find their libraries from where they are themselves.
        for libraries in package.parent.glob(f"{package.name}.*libs"):
            shutil.copytree(libraries, half / libraries.name)
        try:
            half.rename(copy)
        except OSError:
            shutil.rmtree(half)  # another process was first
    copied = copy / package.name / installation.name / bin_dir.name
    if not _run_as(account, str(copied / "initdb"), "--version"):
        raise ServerFailed("postgres", f"user {account.uid} can run neither {bin_dir} nor {copied}")
    return copied


def _shared() -> Path:
    # Whatever our umask says, the other user has to get through.
    SHARED_DIR.mkdir(parents=True, exist_ok=True)
    SHARED_DIR.chmod(0o755)
    return SHARED_DIR
