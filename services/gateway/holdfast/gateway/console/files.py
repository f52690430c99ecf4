"""The console's files, in memory: what can be asked for is what was found there, and no path is ever made of a request.

A file's name holds a hash of its content (the page that names them aside), so a browser's copy is good for ever.
"""

import gzip
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

PAGE = "index.html"
ASSETS = Path(__file__).parent / "assets"

# Content types are ours to say, never guessed from the machine's tables. What isn't one of them is not served.
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

# 300 KB of script are 90 KB packed; below this a packet is a packet.
_PACKED_FROM_BYTES = 1024


@dataclass(frozen=True, slots=True)
class File:
    """One file, as it is and packed."""

    content: bytes
    packed: bytes | None
    media_type: str
    # Weak: the packed form is the same file.
    etag: str


@dataclass(slots=True)
class Files:
    """Every file of the console, read again when the directory changes: what a developer's build writes is seen at
    once, and so is a package that was upgraded under a running gateway.
    """

    directory: Path = ASSETS
    _files: dict[str, File] = field(default_factory=dict[str, File])
    _read_at_ns: int = -1

    def page(self) -> File | None:
        """Return the page, None when the console was never built."""
        # Only here: who asks for a file asked for the page before, which named it.
        self._refresh()
        return self._files.get(PAGE)

    def asset(self, name: str) -> File | None:
        """Return what the page names; anything else is None."""
        if not self._files:
            self._refresh()
        return self._files.get(name) if name != PAGE else None

    def _refresh(self) -> None:
        try:
            changed_ns = self.directory.stat().st_mtime_ns
            if changed_ns != self._read_at_ns:
                self._files = {
                    path.name: _read(path, _MEDIA_TYPES[path.suffix])
                    for path in self.directory.iterdir()
                    if path.suffix in _MEDIA_TYPES and path.is_file()
                }
                self._read_at_ns = changed_ns
        except OSError:
            # Between two states of a build, or not built: what was read before goes on being served.
            return


def _read(path: Path, media_type: str) -> File:
    content = path.read_bytes()
    # The same bytes on every replica: no time in the header.
    packed = gzip.compress(content, mtime=0) if len(content) >= _PACKED_FROM_BYTES else None
    digest = hashlib.sha256(content).hexdigest()[:32]
    return File(content, packed, media_type, f'W/"{digest}"')
