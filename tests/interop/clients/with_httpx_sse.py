"""PyPI `httpx-sse`, resumed as its README shows: the last id and the wait are kept by the loop."""

import sys
import time

import httpx
from httpx_sse import connect_sse

last_id, wait_s = "", 1.0
with httpx.Client(timeout=40, trust_env=False) as client:
    while True:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        try:
            with connect_sse(client, "GET", sys.argv[1], headers=headers) as source:
                if source.response.status_code != 200:
                    print(f"end\t{source.response.status_code}", flush=True)
                    break
                for event in source.iter_sse():
                    last_id = event.id
                    wait_s = wait_s if event.retry is None else event.retry / 1000
                    if event.event == "message" and event.data:
                        print(f"{event.id}\t{event.data}", flush=True)
        except httpx.TransportError:
            pass
        time.sleep(wait_s)
