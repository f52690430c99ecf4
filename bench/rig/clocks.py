"""CPU time of processes from the kernel's own accounts, in nanoseconds, and their memory."""

import os
from collections.abc import Iterable
from pathlib import Path


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that all living threads of a process have used; 0 of one that has ended.

    /proc/<pid>/task/*/schedstat counts nanoseconds, where /proc/<pid>/stat counts ticks of 10 ms.
    A thread that has ended is not in it: a server under load starts and ends none that matter.
    """
    return sum(_task_ns(task) for task in _tasks(pid)) / 1e9


def _task_ns(task: Path) -> int:
    try:
        return int((task / "schedstat").read_text().split(maxsplit=1)[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended while we looked


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return []


def cpu_of(pids: Iterable[int]) -> float:
    """Return the CPU seconds of several processes together."""
    return sum(cpu_s(pid) for pid in pids)


def memory_kb(pid: int) -> int:
    """Return the proportional set size in KiB: memory that is shared counts for its share only."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"the kernel says nothing of the memory of {pid}")


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found, looked_at = [pid], 0
    while looked_at < len(found):
        parent = found[looked_at]
        looked_at += 1
        for task in _tasks(parent):
            try:
                found += [int(child) for child in (task / "children").read_text().split()]
            except FileNotFoundError:
                continue
    return found


def pin(pids: Iterable[int], core: int) -> None:
    """Keep processes, with all their threads, on one core; where there is only one, do nothing."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                os.sched_setaffinity(int(task.name), {cores[core % len(cores)]})
            except ProcessLookupError:
                continue
