"""Become another program that dies with its parent: run by path, before the real command.

    python -I -S launch.py PARENT_PID DEATH_SIGNAL UID GID COMMAND...

A fork in a process with threads may run next to nothing before exec, so what has to happen in
between (change the user, ask the kernel for the death signal, put signals back) happens here, in a
fresh process with the same pid. Imports nothing of this project: it starts in about 15 ms.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1
NOT_STARTED = 127


# Loaded while we are still who we were: another user may not be able to read this Python's library.
if sys.platform == "linux":
    import ctypes

    _libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent(parent: int, death_signal: int) -> None:
    if sys.platform == "linux":
        # After the change of user: the kernel forgets the death signal when credentials change.
        if _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    # The parent may have died before the call above: then no signal would ever come.
    if os.getppid() != parent:
        os._exit(NOT_STARTED)


def main(argv: list[str]) -> None:
    """Change user, tie this process to its parent, and exec the command."""
    parent, death_signal, uid, gid = (int(word) for word in argv[:4])
    command = argv[4:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    _die_with_parent(parent, death_signal)
    # Python ignores SIGPIPE and SIGXFSZ, a shell's background job SIGINT; ignored signals survive
    # exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.execvp(command[0], command)  # noqa: S606 (no shell is the point)
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
