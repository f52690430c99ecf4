"""Signed webhooks, after Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.

The id is the event's own and the same on every try, so receivers can drop what they have. Trying again is the
subscription's work: anything but a 2xx raises.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx2
from standardwebhooks import Webhook as Signer

from holdfast.events.clock import Clock, SystemClock
from holdfast.events.codec import to_json
from holdfast.events.errors import HoldfastError
from holdfast.subscribe.delivery import Delivery, GiveUp
from holdfast.subscribe.handlers.alerts import Alert
from holdfast.subscribe.handlers.guard import Guard, TargetRefused

# From the look-up to the status of the answer.
TIMEOUT_S = 5.0

# Of an answer nothing but the status counts; what is read of it, if it comes soon, lets the connection end well.
ANSWER_BYTES_MAX = 64 * 1024
ANSWER_S = 1.0

# The receiver is gone for good, and says so.
_GONE = 410


class WebhookFailed(HoldfastError):
    """The receiver did not take it."""


class Webhook:
    """Posts `{type, timestamp, data}` to one URL; `data` is the event's whole wire object.

    `secret` is `whsec_` and base64, as receivers know it. Raises ValueError for a secret or URL that can't work.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        guard: Guard | None = None,
        verify: ssl.SSLContext | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._url, self._guard = url, guard or Guard()
        # Made once: reading the machine's certificates takes 20 ms.
        self._verify = verify or httpx2.create_ssl_context()
        self._clock = clock or SystemClock()
        try:
            self._guard.check(url)
        except TargetRefused as error:
            raise ValueError(str(error)) from error
        try:
            self._signer = Signer(secret)
        except Exception as error:
            raise ValueError("a webhook's secret is `whsec_` and base64") from error

    async def handle(self, event: Delivery) -> None:
        """Post an event."""
        body = {
            "type": event.type,
            "timestamp": event.envelope["ts"],
            "data": {**event.envelope, "tenant": event.tenant},
        }
        await self.post(str(event.event_id), body)

    async def tell(self, alert: Alert) -> None:
        """Post an alert."""
        event = alert.event
        body = {
            "type": f"alert.{alert.kind}",
            "timestamp": event.envelope["ts"],
            "data": alert.body(),
        }
        await self.post(f"{event.event_id}-{alert.kind}", body)

    async def post(self, message_id: str, body: dict[str, Any]) -> None:
        """Post a message of your own. Raises WebhookFailed, or GiveUp when trying again would be of no use."""
        text = to_json(body).decode()
        try:
            status = await self._send(message_id, text)
        except TargetRefused as error:
            raise GiveUp(str(error)) from error
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise WebhookFailed(f"{self._host} can't be reached: {reason}") from error
        if 300 <= status < 400:
            raise GiveUp(f"{self._host} answered {status}: webhooks follow no redirect")
        if status == _GONE:
            raise GiveUp(f"{self._host} answered {status}: it is gone")
        if not 200 <= status < 300:
            raise WebhookFailed(f"{self._host} answered {status}")

    @property
    def _host(self) -> str:
        # Never the whole URL: its path and query are often secrets.
        return str(httpx2.URL(self._url).host)

    async def _send(self, message_id: str, text: str) -> int:
        status: int | None = None
        try:
            async with asyncio.timeout(TIMEOUT_S) as limit:
                async with self._posted(message_id, text) as answer:
                    status = answer.status_code
                    limit.reschedule(asyncio.get_running_loop().time() + ANSWER_S)
                    size = 0
                    async for chunk in answer.aiter_raw():
                        size += len(chunk)
                        if size > ANSWER_BYTES_MAX:
                            break
        except (httpx2.HTTPError, OSError, TimeoutError):
            # Whoever has said that it took the message has it, whatever becomes of the rest.
            if status is None:
                raise
        return status

    @asynccontextmanager
    async def _posted(self, message_id: str, text: str) -> AsyncGenerator[httpx2.Response]:
        target = await self._guard.target(self._url)
        now: datetime = self._clock.now()
        headers = {
            "host": target.authority,
            "content-type": "application/json",
            "user-agent": "holdfast-webhooks",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message_id, now, text),
        }
        # A client of its own: no cookies, no pooled connection to what the name meant before, and no proxy from the
        # environment, which would look the name up again.
        async with (
            httpx2.AsyncClient(
                verify=self._verify, trust_env=False, follow_redirects=False, timeout=TIMEOUT_S
            ) as client,
            client.stream(
                "POST",
                target.url,
                content=text.encode(),
                headers=headers,
                extensions={"sni_hostname": target.host},
            ) as answer,
        ):
            yield answer
