"""Everything that can go wrong with the local stack, each with what to do about it.

LocalError
├── ServerNotFound      no rung of the ladder holds; says the one command that installs it
├── ServerFailed        it was started and did not come up; carries the end of its log
│   └── WrongMajor      the data was made by another major version of Postgres
├── NotReady            a service runs and does not say that it serves
├── GuardFailed         the process that cleans up after a crash could not be started
├── PortTaken           something else listens there
├── DataDirTaken        another `holdfast dev` uses this data directory
└── NotOurs             a server given by URL can be neither killed nor restarted
"""

from pathlib import Path


class LocalError(Exception):
    """The local stack cannot go on; the message is one sentence for the person at the terminal."""

    # What a command line exits with: 2 is "not as asked for, change something and call again".
    exit_code = 2


class ServerNotFound(LocalError):
    """No URL, program, wheel or container engine offers this server."""

    def __init__(self, what: str, *, install: str) -> None:
        super().__init__(f"found no {what} to run; install one with: {install}")
        self.what, self.install = what, install


class ServerFailed(LocalError):
    """A server was started and did not come up."""

    def __init__(self, name: str, reason: str, *, log: str = "") -> None:
        super().__init__(f"{name} did not start: {reason}" + (f"\n{log.rstrip()}" if log else ""))
        self.name, self.reason, self.log = name, reason, log


class WrongMajor(ServerFailed):
    """The data directory was made by another major version of Postgres."""

    def __init__(self, cluster: Path, *, made_by: str, binary: str) -> None:
        super().__init__(
            "postgres",
            f"{cluster} was made by Postgres {made_by} and the one to start is {binary}; "
            f"put a Postgres {made_by} on PATH or choose another data directory",
        )
        self.cluster, self.made_by, self.binary = cluster, made_by, binary


class NotReady(LocalError):
    """A service was started and did not say in time that it serves."""

    exit_code = 1

    def __init__(self, name: str, seconds: float, log: Path) -> None:
        super().__init__(f"{name} is not ready after {seconds:.0f} s; it says why in {log}")
        self.name, self.log = name, log


class GuardFailed(LocalError):
    """The process that would clean up after a crash of ours could not be started."""

    exit_code = 1

    def __init__(self, status: int) -> None:
        super().__init__(f"the guard process ended at once, with status {status}")
        self.status = status


class PortTaken(LocalError):
    """Something else listens on the port that was asked for."""

    def __init__(self, name: str, host: str, port: int) -> None:
        super().__init__(f"{name} cannot listen on {host}:{port}: the port is taken")
        self.name, self.host, self.port = name, host, port


class DataDirTaken(LocalError):
    """Another supervisor uses this data directory."""

    def __init__(self, data_dir: Path, pid: str) -> None:
        super().__init__(f"{data_dir} is in use by the `holdfast dev` with pid {pid}")
        self.data_dir, self.pid = data_dir, pid


class NotOurs(LocalError):
    """A server given by URL can be used, never killed: somebody else answers for it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was given by URL: this process neither stops nor kills it")
        self.name = name
