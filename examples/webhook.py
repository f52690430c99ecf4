"""Somebody else is told of every order that is done, by a signed webhook, at least once, whatever dies meanwhile.

WEBHOOK_URL and WEBHOOK_SECRET name the receiver. Without them one on loopback checks the signature and prints what it
was told.
"""

import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from pydantic import BaseModel
from standardwebhooks import Webhook as Signature

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow
from holdfast.subscribe import subscription
from holdfast.subscribe.handlers.guard import Guard
from holdfast.subscribe.handlers.webhook import Webhook
from holdfast.subscribe.pieces import where

SECRET = os.environ.get("WEBHOOK_SECRET", "whsec_dGhpcyBpcyBhbiBleGFtcGxlLCBubyBzZWNyZXQ=")


class Order(BaseModel):
    tea: str
    grams: int = 100


async def pack(tea: str, grams: int) -> str:
    return f"{grams} g of {tea}"


@workflow("order", description="Packs tea.")
async def order(ctx: WorkflowContext, input: Order) -> dict[str, Any]:
    return {"parcel": await ctx.tool("pack", pack, input.model_dump())}


class Receiver(BaseHTTPRequestHandler):
    """What runs at the other end; any language has a library that does the same."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        told: Any = Signature(SECRET).verify(body, dict(self.headers))
        print(f"a webhook: {told['type']} {told['data']['data'].get('result')}", flush=True)
        self.send_response(204)
        self.end_headers()


def receiver() -> str:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


hook = Webhook(
    os.environ.get("WEBHOOK_URL") or receiver(),
    SECRET,
    # Webhooks go to public addresses by https only, unless a network of yours is opened to them.
    guard=Guard(allow=["127.0.0.0/8"], http=True),
)
orders = where(lambda event: "parcel" in (event.data.get("result") or {}), hook.handle)
told = subscription("orders-hook", "run.completed")(orders)
