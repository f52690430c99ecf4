"""The most memory that a process held during something, from the kernel's own high-water mark."""

from pathlib import Path


class Peak:
    """Resident memory at its highest since `begin`. The mark is set back first: that of earlier loads doesn't count."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.before_kb = 0

    def begin(self) -> None:
        """Begin anew from what is resident now."""
        # 5 sets VmHWM back to VmRSS; see proc(5).
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")
        self.before_kb = self._field("VmRSS")

    @property
    def peak_kb(self) -> int:
        """The highest since `begin`."""
        return self._field("VmHWM")

    @property
    def grown_kb(self) -> int:
        """How far the highest is above where it began."""
        return max(0, self.peak_kb - self.before_kb)

    def _field(self, name: str) -> int:
        for line in Path(f"/proc/{self._pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise ValueError(f"the kernel says nothing of {name} of {self._pid}")
