"""Webhooks: what is sent, what is refused, and where they never go."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook as Verifier

from holdfast.subscribe.delivery import GiveUp
from holdfast.subscribe.handlers.alerts import Alert
from holdfast.subscribe.handlers.guard import Guard, TargetRefused
from holdfast.subscribe.handlers.webhook import Webhook, WebhookFailed
from tests.subscribe.worlds import a_delivery

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOOPBACK = Guard(allow=["127.0.0.0/8"], http=True)


class Receiver:
    """A server that remembers requests and answers one status."""

    def __init__(self, status: int = 200, headers: str = "", body: bytes = b"") -> None:
        self.answer = (status, headers, body)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:-2])
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, body))
        status, extra, answer = self.answer
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-length: {len(answer)}\r\n{extra}\r\n".encode() + answer
        )
        await _close(writer)


@asynccontextmanager
async def receiver(
    receiver: Receiver, context: ssl.SSLContext | None = None
) -> AsyncGenerator[Receiver]:
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()
    await server.wait_closed()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def test_a_receiver_can_verify_what_it_gets() -> None:
    event = a_delivery("hello")
    async with receiver(Receiver()) as there:
        await Webhook(f"http://127.0.0.1:{there.port}/hook?x=1", SECRET, guard=LOOPBACK).handle(
            event
        )

    [(headers, body)] = there.requests
    verified = Verifier(SECRET).verify(body, headers)
    assert headers["webhook-id"] == str(event.event_id)
    assert verified == orjson.loads(body)
    assert verified["type"] == "message.delta"
    assert verified["data"] == {**event.envelope, "tenant": "acme"}


async def test_an_alert_can_be_a_webhook() -> None:
    event = a_delivery()
    async with receiver(Receiver()) as there:
        hook = Webhook(f"http://127.0.0.1:{there.port}/", SECRET, guard=LOOPBACK)
        await hook.tell(Alert("slow", "took long", event))

    [(headers, body)] = there.requests
    assert headers["webhook-id"] == f"{event.event_id}-slow"
    assert orjson.loads(body)["data"]["text"] == "took long"


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_a_refusal_is_tried_again(status: int) -> None:
    async with receiver(Receiver(status)) as there:
        with pytest.raises(WebhookFailed, match=str(status)):
            await Webhook(f"http://127.0.0.1:{there.port}/", SECRET, guard=LOOPBACK).handle(
                a_delivery()
            )


async def test_nobody_there_is_tried_again_and_the_url_is_not_told() -> None:
    with pytest.raises(WebhookFailed) as raised:
        await Webhook("http://127.0.0.1:9/secret-path", SECRET, guard=LOOPBACK).handle(a_delivery())

    assert "secret-path" not in str(raised.value)


async def test_a_redirect_is_not_followed() -> None:
    async with receiver(Receiver()) as inside:
        location = f"location: http://127.0.0.1:{inside.port}/\r\n"
        async with receiver(Receiver(302, location)) as there:
            with pytest.raises(GiveUp, match="redirect"):
                await Webhook(f"http://127.0.0.1:{there.port}/", SECRET, guard=LOOPBACK).handle(
                    a_delivery()
                )

    assert inside.requests == []


async def test_a_receiver_that_is_gone_is_given_up() -> None:
    async with receiver(Receiver(410)) as there:
        with pytest.raises(GiveUp):
            await Webhook(f"http://127.0.0.1:{there.port}/", SECRET, guard=LOOPBACK).handle(
                a_delivery()
            )


async def test_of_a_huge_answer_little_is_read() -> None:
    async with receiver(Receiver(200, body=b"x" * 5_000_000)) as there:
        await Webhook(f"http://127.0.0.1:{there.port}/", SECRET, guard=LOOPBACK).handle(
            a_delivery()
        )


async def test_a_receiver_that_drips_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.subscribe.handlers.webhook.TIMEOUT_S", 0.2)

    over = asyncio.Event()

    async def never(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"H")
            await asyncio.sleep(0.05)
        await _close(writer)
        over.set()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(WebhookFailed):
        await Webhook(f"http://127.0.0.1:{port}/", SECRET, guard=LOOPBACK).handle(a_delivery())
    await over.wait()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "2001:0:a00:1::1",
        "ff02::1",
        "192.0.0.192",
        "168.63.129.16",
        "::127.0.0.1",
        "::10.0.0.1",
        "::ffff:0:10.0.0.1",
        "5f00::1",
        "3fff::1",
    ],
)
async def test_a_name_that_leads_inside_is_refused_and_nobody_is_asked(address: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.215.14", address]

    hook = Webhook("https://hooks.example.com/", SECRET, guard=Guard(resolve=resolve))

    with pytest.raises(GiveUp, match="don't go"):
        await hook.handle(a_delivery())


async def test_an_address_written_as_a_number_is_seen_through() -> None:
    for host in ("2130706433", "0x7f.1", "127.1", "localhost"):
        with pytest.raises((TargetRefused, OSError)):
            await Guard().target(f"https://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "https://user:pw@hooks.example.com/",
        "https:///x",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://[::1/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nx: y",
        "",
    ],
)
def test_a_url_that_is_wrong_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the sentence differs
        Webhook(url, SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_é"])
def test_a_secret_that_cannot_sign_is_refused_at_once(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        Webhook("https://hooks.example.com/", secret)


async def test_the_connection_goes_to_the_address_that_was_checked_and_tls_to_the_name(
    tmp_path: Path,
) -> None:
    """A name that resolves differently the second time finds nobody asking; its certificate still counts."""
    asked = 0

    async def resolve(host: str, port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.1"]

    server_side, client_side = _certificates("hooks.example.com", tmp_path)
    _, strangers = _certificates("other.example.com", tmp_path)
    guard = Guard(allow=["127.0.0.1/32"], resolve=resolve)
    async with receiver(Receiver(), server_side) as there:
        url = f"https://hooks.example.com:{there.port}/x"
        await Webhook(url, SECRET, guard=guard, verify=client_side).handle(a_delivery())
        with pytest.raises(WebhookFailed, match="certificate"):
            await Webhook(url, SECRET, guard=guard, verify=strangers).handle(a_delivery())

    [(headers, _)] = there.requests
    assert headers["host"] == f"hooks.example.com:{there.port}"
    assert asked == 2


def _certificates(host: str, place: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = place / f"{host}.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


async def test_a_public_address_passes() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["2606:4700::6810:84e5", "93.184.215.14"]

    target = await Guard(resolve=resolve).target("https://hooks.example.com/a?b=c")

    assert target.url == "https://[2606:4700::6810:84e5]:443/a?b=c"
    assert target.authority == "hooks.example.com"
