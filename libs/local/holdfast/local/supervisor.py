"""`holdfast dev`: both servers, the migrations, the orchestrators and the gateways, kept running.

    redis, postgres  →  migrations  →  orchestrators  →  gateways      started in this order
    gateways  →  orchestrators  →  redis, postgres                     ended in this one

What dies is started again, on its port and its data. When the supervisor itself dies, however it
dies, everything goes with it (`guard`).
"""

import os
import signal
import sys
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from contextlib import suppress

import anyio
from anyio.abc import TaskStatus

from holdfast.local.child import Child
from holdfast.local.data_dir import DataDir, ProcessEntry
from holdfast.local.errors import LocalError, NotReady, PortTaken
from holdfast.local.given_server import GivenServer
from holdfast.local.guard import Guard, Ward
from holdfast.local.ladder import DATABASE_URL, REDIS_URL, postgres_server, redis_server
from holdfast.local.options import DevOptions
from holdfast.local.ports import LOOPBACK, free_port, is_free
from holdfast.local.processes import ProcessId
from holdfast.local.server import ChildServer, Server
from holdfast.local.service import Service
from holdfast.local.subscribers import declares_subscriptions

# Between a death and the next start: at once for an accident, no busy loop for a lasting fault.
BACKOFF_MIN_SECONDS = 0.2
BACKOFF_MAX_SECONDS = 5.0

# One that has lived this long died of something new.
HEALTHY_SECONDS = 10.0

# A death is noticed within 50 ms; a look at ten children costs about 20 µs.
LOOK_SECONDS = 0.05

# Imports and first connections take 1 to 2 s on a laptop, many times that on a loaded one.
READY_SECONDS = 60.0

# Over this time streams are closed and steps in progress recorded, unless the environment says else.
DRAIN_SECONDS = 3

# How a gateway's switch is set to off.
OFF = ("0", "false", "f", "no", "n", "off")

# The stages in which all is ended, the guard's and the supervisor's.
GATEWAYS, ORCHESTRATORS, SERVERS = 0, 1, 2


async def run_dev(options: DevOptions, *, on_line: Callable[[str], None] = print) -> int:
    """Run the local stack until Ctrl-C or SIGTERM; return the exit status.

    `on_line` gets `ready http://…` when all of it serves, then `console http://…/console`. What
    can't go on is said in one sentence on stderr, with status 2.
    """
    try:
        await Supervisor(options, on_line).run()
    except LocalError as error:
        _complain(f"error: {error}")
        return error.exit_code
    return 0


class Supervisor:
    """One local stack, from its first start to its end."""

    def __init__(self, options: DevOptions, on_line: Callable[[str], None]) -> None:
        self._options = options
        self._on_line = on_line
        self._data_dir: DataDir
        self._guard: Guard
        self._given: list[GivenServer] = []
        self._stopping = False
        # Given out before anybody listens there, so that a second draw can't give them again.
        self._promised: set[int] = set()
        # In the order of `processes.json`, each with the stage in which it is ended.
        self._children: list[tuple[int, Child]] = []

    async def run(self) -> None:
        """Bring everything up, keep it up until a signal, take it down. Raises LocalError."""
        ports = self._gateway_ports()
        self._data_dir = await anyio.to_thread.run_sync(
            DataDir, self._options.data_dir, abandon_on_cancel=True
        )
        self._guard = Guard(self._data_dir.lock_descriptor, self._data_dir.path)
        failures: list[BaseException] = []
        try:
            await self._run_until_signal(ports)
        except* LocalError as group:
            # A start that was given up because we were told to stop is no failure.
            failures = [] if self._stopping else _leaves(group)
        except* Exception as group:  # noqa: BLE001 (raised again below, out of its groups)
            failures = _leaves(group)
        finally:
            self._let_go()
        # The first is the reason: what it ended may have failed because of it.
        if failures:
            raise failures[0]

    def _gateway_ports(self) -> list[int]:
        """Settle the ports before anything starts: a taken one is the person's to change."""
        host, first = self._options.host, self._options.port
        if first == 0:
            return [self._draw_port(host) for _ in range(self._options.gateways)]
        ports = [first + n for n in range(self._options.gateways)]
        for n, port in enumerate(ports, 1):
            if not is_free(port, host):
                raise PortTaken(f"gateway-{n}", host, port)
        self._promised.update(ports)
        return ports

    def _draw_port(self, host: str = LOOPBACK) -> int:
        port = free_port(host, avoid=self._promised)
        self._promised.add(port)
        return port

    async def _run_until_signal(self, ports: list[int]) -> None:
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with anyio.open_signal_receiver(*wanted) as signals:
            async with anyio.create_task_group() as tasks:
                work = anyio.CancelScope()
                tasks.start_soon(self._obey, signals, work)
                try:
                    with work:
                        await self._serve(ports)
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._shut_down()
                    tasks.cancel_scope.cancel()

    async def _obey(self, signals: AsyncIterable[signal.Signals], work: anyio.CancelScope) -> None:
        """The first signal ends the work in order; the second, at once."""
        async for _ in signals:
            for _, child in self._children:
                child.give_up()
                if self._stopping:
                    child.kill_soon()
            work.cancel()
            self._stopping = True

    async def _serve(self, ports: list[int]) -> None:
        options, data_dir = self._options, self._data_dir
        async with anyio.create_task_group() as keepers:

            async def keep(stage: int, child: Child) -> None:
                self._children.append((stage, child))
                await keepers.start(self._keep, child)

            async def server(server: Server) -> str:
                if isinstance(server, ChildServer):
                    server.log_path = data_dir.log_of(server.name)
                    server.avoid = self._promised
                    await keep(SERVERS, server)
                else:
                    assert isinstance(server, GivenServer)
                    await anyio.to_thread.run_sync(server.start, abandon_on_cancel=True)
                    self._given.append(server)
                return server.url

            redis_url = await server(redis_server(data_dir.path / "redis"))
            database_url = await server(postgres_server(data_dir.path / "postgres"))
            await options.migrate(database_url)

            env = dict(os.environ) | {DATABASE_URL: database_url, REDIS_URL: redis_url}
            # Nobody waits 15 s for Ctrl-C on a laptop; a stream that is cut resumes from its cursor.
            env.setdefault("HOLDFAST_DRAIN_S", str(DRAIN_SECONDS))
            if options.app:
                env["HOLDFAST_WORKFLOWS"] = ",".join(options.app)
                env.setdefault("HOLDFAST_SUBSCRIBERS", ",".join(options.app))
            # What a service prints is seen when it is printed.
            env.setdefault("PYTHONUNBUFFERED", "1")
            orchestrators = [self._orchestrator(n + 1, env) for n in range(options.orchestrators)]
            gateways = [self._gateway(n + 1, port, env) for n, port in enumerate(ports)]
            asked = options.app or "HOLDFAST_SUBSCRIBERS" in env
            if asked and await anyio.to_thread.run_sync(
                declares_subscriptions, options.subscriber_command, env, abandon_on_cancel=True
            ):
                orchestrators.append(self._subscriber(env))
            for service in orchestrators:
                await keep(ORCHESTRATORS, service)
            for service in gateways:
                await keep(GATEWAYS, service)
            await self._until_ready([*orchestrators, *gateways])

            where = f" http://{gateways[0].address}" if gateways else ""
            self._on_line(f"ready{where}")
            if where and env.get("HOLDFAST_CONSOLE", "1").lower() not in OFF:
                self._on_line(f"console{where}/console")
            await anyio.sleep_forever()

    def _orchestrator(self, number: int, env: Mapping[str, str]) -> Service:
        name, port = f"orchestrator-{number}", self._draw_port()
        own = {"HOLDFAST_WORKER_NAME": name, "HOLDFAST_OPS_PORT": str(port)}
        return self._service(name, self._options.orchestrator_command, {**env, **own}, port=port)

    def _subscriber(self, env: Mapping[str, str]) -> Service:
        name, port = "subscriber", self._draw_port()
        own = {"HOLDFAST_SUBSCRIBER_NAME": name, "HOLDFAST_OPS_PORT": str(port)}
        return self._service(name, self._options.subscriber_command, {**env, **own}, port=port)

    def _gateway(self, number: int, port: int, env: Mapping[str, str]) -> Service:
        name, host = f"gateway-{number}", self._options.host
        own = {"HOLDFAST_HOST": host, "HOLDFAST_PORT": str(port)}
        command = self._options.gateway_command
        return self._service(name, command, {**env, **own}, port=port, host=host)

    def _service(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        port: int,
        host: str = LOOPBACK,
    ) -> Service:
        log, quiet = self._data_dir.log_of(name), self._options.quiet
        return Service(name, command, env, host=host, port=port, log=log, quiet=quiet)

    async def _until_ready(self, services: list[Service]) -> None:
        deadline = anyio.current_time() + READY_SECONDS
        for service in services:
            while not await anyio.to_thread.run_sync(service.is_ready):
                if anyio.current_time() > deadline:
                    log = self._data_dir.log_of(service.name)
                    raise NotReady(service.name, READY_SECONDS, log)
                await anyio.sleep(LOOK_SECONDS)

    async def _keep(self, child: Child, *, task_status: TaskStatus[None]) -> None:
        """Start it, then start it again whenever it dies. Its first start may raise."""
        await anyio.to_thread.run_sync(child.start)
        self._note()
        task_status.started()
        backoff = BACKOFF_MIN_SECONDS
        while True:
            started = anyio.current_time()
            # No event tells of a death on every system, and this costs nothing.
            while child.is_running():  # noqa: ASYNC110
                await anyio.sleep(LOOK_SECONDS)
            self._note()
            if anyio.current_time() - started > HEALTHY_SECONDS:
                backoff = BACKOFF_MIN_SECONDS
            _complain(f"{child.name} ended; starting it again in {backoff:.1f} s")
            await anyio.sleep(backoff)
            backoff = min(backoff * 2, BACKOFF_MAX_SECONDS)
            try:
                await anyio.to_thread.run_sync(child.start)
            except (LocalError, OSError) as error:
                if not self._stopping:
                    _complain(f"{child.name}: {error}")
            self._note()

    async def _shut_down(self) -> None:
        """End all, stage by stage. Whatever fails is said, and keeps no other from being ended."""
        for stage in (GATEWAYS, ORCHESTRATORS, SERVERS):
            async with anyio.create_task_group() as stopping:
                for its_stage, child in self._children:
                    if its_stage == stage:
                        stopping.start_soon(self._stop, child)
            try:
                self._note()
            except (LocalError, OSError) as error:
                _complain(f"the list of processes is out of date: {error}")

    async def _stop(self, child: Child) -> None:
        try:
            await anyio.to_thread.run_sync(child.stop)
        except Exception as error:  # noqa: BLE001 (one that hangs in the kernel, and what else may be)
            _complain(f"{child.name} could not be ended: {error}")

    def _let_go(self) -> None:
        if any(child.is_running() for _, child in self._children):
            # The guard has them on its list. It goes on trying, and keeps the lock while it does.
            self._guard.take_over()
        else:
            self._guard.dismiss()
            # As the guard does on leaving; but somebody may have killed it.
            with suppress(OSError):
                self._data_dir.write_processes([])
        self._data_dir.release()

    def _note(self) -> None:
        """Tell the guard, then `processes.json`, who runs now."""
        wards: list[Ward] = []
        entries: list[ProcessEntry] = [
            {"name": server.name, "pid": None, "address": server.address} for server in self._given
        ]
        for stage, child in self._children:
            pid = child.pid
            entries.append({"name": child.name, "pid": pid, "address": child.address})
            if pid is not None and (process := ProcessId.of(pid)) is not None:
                number, seconds = child.stop_signals[0]
                wards.append(Ward(pid, process.started, stage, int(number), seconds))
        self._guard.tell(wards)
        self._data_dir.write_processes(entries)


def _leaves(group: BaseExceptionGroup[Exception]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves


def _complain(line: str) -> None:
    print(f"holdfast dev: {line}", file=sys.stderr, flush=True)  # noqa: T201 (for the terminal)
