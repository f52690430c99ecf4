"""nchan: nginx's pub/sub module, in C; its memory store, or Redis behind it. Debian's package, one worker."""

import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from bench.contenders.contender import Pace
from bench.contenders.posting import post_all
from bench.rig.clocks import pin
from holdfast.local.ports import free_port

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")

CONFIG = """
load_module {module};
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 20000; pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 18000; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 100000000; keepalive_timeout 600;
  nchan_shared_memory_size 2048m;
  {upstream}
  server {{
    listen 127.0.0.1:{port} backlog=4096 reuseport;
    location ~ ^/pub/(.+)$ {{
      nchan_publisher; nchan_channel_id $1; {store} nchan_message_buffer_length 20000; nchan_message_timeout 10m;
    }}
    location ~ ^/sub/(.+)$ {{
      nchan_subscriber eventsource; nchan_channel_id $1; {store} nchan_subscriber_first_message oldest;
    }}
  }}
}}
"""


class Nchan:
    """One nginx; what publishes to it is a thread here, over kept-alive connections with several POSTs in flight."""

    def __init__(
        self, folder: Path, *, redis_port: int | None = None, redis_pid: int | None = None
    ) -> None:
        nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
        if nginx is None or not MODULE.exists():
            sys.exit("error: nchan is missing; on Debian: apt-get install nginx libnginx-mod-nchan")
        self.name = "nchan + redis" if redis_port else "nchan"
        self._beside = [redis_pid] if redis_pid else []
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        config = folder / "nginx.conf"
        upstream = (
            f"upstream redis {{ nchan_redis_server redis://127.0.0.1:{redis_port}; }}"
            if redis_port
            else ""
        )
        config.write_text(
            CONFIG.format(
                module=MODULE,
                folder=folder,
                port=self.port,
                upstream=upstream,
                store="nchan_redis_pass redis;" if redis_port else "",
            )
        )
        self._process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(config)])
        time.sleep(0.5)
        if self._process.poll() is not None:
            sys.exit(f"error: nginx did not start: {(folder / 'error.log').read_text()}")
        pin(self.pids, 0)
        self._publishing: threading.Thread | None = None

    @property
    def pids(self) -> Sequence[int]:
        """nginx; it takes in the events, too, which is part of its price."""
        return [self._process.pid]

    @property
    def beside(self) -> Sequence[int]:
        """Redis, when it stands behind."""
        return self._beside

    def sessions(self, count: int) -> Sequence[str]:
        """A channel is there once somebody uses it."""
        return [uuid.uuid4().hex for _ in range(count)]

    def path(self, session: str) -> str:
        """The channel as an EventSource reads it, from its oldest message."""
        return f"/sub/{session}"

    def publish(self, sessions: Sequence[str], pace: Pace) -> None:
        """POST the events, each at its time."""
        self._publishing = threading.Thread(
            target=post_all, args=(self.port, sessions, pace), daemon=True
        )
        self._publishing.start()

    def settle(self, timeout_s: float) -> None:
        """Wait until the last POST is answered."""
        assert self._publishing is not None
        self._publishing.join(timeout_s)
        if self._publishing.is_alive():
            raise TimeoutError(f"not everything was published within {timeout_s:g} s")

    def stop(self) -> None:
        """End nginx."""
        self._process.terminate()
        self._process.wait(10)
