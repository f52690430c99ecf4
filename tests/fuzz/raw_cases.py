"""Requests as bytes on a socket, each from a seed and a number: what clients, proxies and attackers send.

A case is about one endpoint and breaks one thing (sometimes a second one by chance): the request line, the headers,
where a body ends, what is in it, or when its bytes come.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import orjson

from tests.fuzz.raw_bodies import CONTENT_TYPES, bad, good
from tests.gateway.http.nasty import HEADERS, PARAMETERS, TEXTS

# A path that only a smuggled request asks for.
CANARY = b"/v1/sessions/smuggled"

# How long a slow sender waits between two pieces. Longer than one turn of the loop, shorter than any deadline.
PAUSE_S = 0.02

_DOCUMENT = Path(__file__).parents[2] / "docs/openapi.json"

ENDPOINTS: Sequence[tuple[str, str]] = [
    (method.upper(), path)
    for path, item in orjson.loads(_DOCUMENT.read_bytes())["paths"].items()
    for method in item
]


@dataclass(frozen=True)
class Names:
    """What there is to ask for."""

    session_id: str
    run_id: str
    waiting_run_id: str


@dataclass
class Case:
    """Bytes, in the pieces in which they are sent, and what may come back."""

    number: int
    kind: str
    method: str
    pieces: list[bytes]
    answers: int = 1  # at most so many; a smuggled request would get one more
    must_answer: bool = False  # it is HTTP, so silence is no answer
    hang_up: bool = False  # the sender's side is closed after the last piece


def make_case(seed: int, number: int, names: Names) -> Case:
    """Return the case of this number: endpoints take turns, the rest is the seed's."""
    chance = random.Random(f"{seed}:{number}")
    method, template = ENDPOINTS[number % len(ENDPOINTS)]
    kind = chance.choice(list(_KINDS))
    known = chance.random() < 0.6
    named = {
        "session_id": names.session_id if known else chance.choice(TEXTS),
        "run_id": chance.choice([names.run_id, names.waiting_run_id])
        if known
        else chance.choice(TEXTS),
    }
    if method == "DELETE" and known:
        named["session_id"] = "nobody"  # what there is has to stay
    path = template
    for name, value in named.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    request = _Request(method.encode(), path.encode())
    if method == "POST":
        request.set_body(good(chance))
    case = _KINDS[kind](chance, request)
    case.number, case.kind = number, kind
    return case


class _Request:
    """A request in parts, to be broken."""

    def __init__(self, method: bytes, target: bytes) -> None:
        self.method, self.target, self.version = method, target, b"HTTP/1.1"
        self.headers: list[tuple[bytes, bytes]] = [(b"Host", b"127.0.0.1")]
        self.body = b""

    def set_body(self, body: bytes, content_type: bytes = b"application/json") -> None:
        self.drop(b"Content-Length", b"Content-Type")
        self.body = body
        self.headers += [
            (b"Content-Type", content_type),
            (b"Content-Length", str(len(body)).encode()),
        ]

    def drop(self, *names: bytes) -> None:
        self.headers = [(name, value) for name, value in self.headers if name not in names]

    @property
    def head(self) -> bytes:
        lines = [b" ".join([self.method, self.target, self.version])]
        lines += [name + b": " + value for name, value in self.headers]
        return b"\r\n".join([*lines, b"", b""])

    def case(self, *pieces: bytes, **more: object) -> Case:
        method = self.method.decode("latin-1")
        return Case(0, "", method, list(pieces) or [self.head + self.body], **more)  # type: ignore[arg-type]


def _request_line(chance: random.Random, request: _Request) -> Case:
    line = request.method + b" " + request.target + b" HTTP/1.1"
    target = request.target
    lines = [
        b"",
        b"\0",
        b"GET",
        b"GET /",
        request.method + b"  " + target + b"  HTTP/1.1",
        request.method + b"\t" + target + b"\tHTTP/1.1",
        b" " + line,
        b"\r\n\r\n" + line,
        request.method.lower() + line[len(request.method) :],
        line.replace(b"1.1", chance.choice([b"1.0", b"0.9", b"2.0", b"9.9", b"1.10", b"1", b""])),
        line.replace(b"HTTP", b"ICY"),
        line + b" extra",
        line + b"\0",
        request.method + b" http://127.0.0.1" + target + b" HTTP/1.1",
        request.method + b" http://evil.example" + target + b" HTTP/1.1",
        request.method + b" //evil.example" + target + b" HTTP/1.1",
        request.method + b" * HTTP/1.1",
        b"CONNECT 127.0.0.1:80 HTTP/1.1",
        b"PRI * HTTP/2.0\r\n\r\nSM",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(40),
        request.method + b" " + target + b"%zz HTTP/1.1",
        request.method + b" " + target + b"%00 HTTP/1.1",
        request.method + b" " + target + b"\xff\xfe HTTP/1.1",
        request.method + b" " + target + "/ü🙂".encode() + b" HTTP/1.1",
        request.method + b" " + target + b"/../../livez HTTP/1.1",
        request.method + b" " + target + b"/%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
        request.method + b" " + target + b"#fragment HTTP/1.1",
        request.method + b" " + target + b"??a=b?&&=&a HTTP/1.1",
        request.method
        + b" "
        + target
        + b"/" * chance.choice([1, 2040, 2048, 9000, 70_000])
        + b" HTTP/1.1",
        request.method
        + b" "
        + target
        + b"?a="
        + b"x" * chance.choice([1900, 2048, 9000, 70_000])
        + b" HTTP/1.1",
    ]
    head = b"\r\n".join([chance.choice(lines), *request.head.split(b"\r\n")[1:]])
    return request.case(head + request.body)


def _wrong_method(chance: random.Random, request: _Request) -> Case:
    methods = [b"PUT", b"PATCH", b"HEAD", b"OPTIONS", b"TRACE", b"DELETE", b"GET", b"POST"]
    methods += [b"PROPFIND", b"FOO", b"get", b"M" * 300, b"G\0T", b"QUERY"]
    request.method = chance.choice(methods)
    if request.method == b"DELETE":
        request.target = b"/v1/sessions"
    if chance.random() < 0.3:
        request.headers += [(b"Origin", b"null"), (b"Access-Control-Request-Method", b"POST")]
    return request.case()


def _header_flood(chance: random.Random, request: _Request) -> Case:
    count = chance.choice([10, 100, 1000, 4000])
    size = chance.choice([0, 10, 100])
    if chance.random() < 0.3:
        count, size = 1, chance.choice([16_000, 17_000, 65_000, 300_000])
    value = chance.choice([b"x", b"\xff", b" ", b","]) * size
    request.headers += [(b"X-%d" % i, value) for i in range(count)]
    return request.case()


def _header_form(chance: random.Random, request: _Request) -> Case:
    name = chance.choice(HEADERS).title().encode()
    lines = [
        b"no colon at all",
        b": no name",
        name + b" : space before",
        name + b":\0",
        name + b": a\0b",
        name + b": \xff\xfe",
        name + b": a\r\n folded",
        name + b": a\rb",
        name + b": a\nX-Injected: b",
        b"\xff: x",
        b"N\0me: x",
        b"Host: a\r\nHost: b",
        b"Host:",
        b"Host: [::1",
        b"Host: 127.0.0.1:99999999",
        b"Host: evil.example",
        b"Host: " + b"a." * 5000,
        b"Origin: http://[",
        b"Origin: https://evil.example",
        b"Expect: 100-continue",
        b"Expect: 200-ok",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        b"Connection: " + chance.choice([b"close", b"keep-alive", b"x", b"close, close"]),
        b"Accept: " + chance.choice([b"text/event-stream", b"*/*;q=x", b",;,;", b"\xff"]),
        b"Range: bytes=0-18446744073709551615",
        b"Traceparent: 00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00",
        b"Traceparent: " + b"-" * 5000,
        b"X-Request-Id: a\tb",
        b"X-Forwarded-For: " + b"1," * 500,
        name + b": " + chance.choice(TEXTS).replace("\0", "0").encode().replace(b"\n", b" "),
    ]
    head = request.head.split(b"\r\n")
    head.insert(chance.randrange(1, len(head) - 1), chance.choice(lines))
    return request.case(b"\r\n".join(head) + request.body)


def _last_event_id(chance: random.Random, request: _Request) -> Case:
    values = [
        b"9" * 1024 * 1024,
        b"x" * 1024 * 1024,
        b"9" * 15_000,
        b"-1",
        b"1e9",
        b"0x1",
        b"\0",
        b"1\0",
        b"\xff",
        b"1,2",
        b"1-",
        b"1-g",
        b"1-" + b"f" * 17,
        b"9223372036854775807",
        b"9223372036854775808",
        b"18446744073709551616",
        b"\xd9\xa1",
        b" 1 ",
        b"",
        b"1\r\nLast-Event-ID: 2",
    ]
    request.headers.append((b"Last-Event-ID", chance.choice(values)))
    return request.case()


def _half_sent(chance: random.Random, request: _Request) -> Case:
    whole = request.head + request.body
    cut = whole[: chance.randrange(len(whole))]
    return request.case(cut, hang_up=chance.random() < 0.5)


def _slow(chance: random.Random, request: _Request) -> Case:
    whole = request.head + request.body
    cuts = sorted(chance.randrange(len(whole)) for _ in range(chance.randint(1, 5)))
    edges = [0, *cuts, len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(edges)]
    return request.case(*pieces, must_answer=True)


def _smuggling(chance: random.Random, request: _Request) -> Case:
    """Where the first request ends must be beyond doubt, or the connection must end with it."""
    request.method = chance.choice([b"POST", request.method])
    request.drop(b"Content-Length")
    inner = b"GET " + CANARY + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    chunked = b"2\r\n{}\r\n0\r\n\r\n"
    te = chance.choice(
        [
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding : chunked",
            b"Transfer-Encoding:\tchunked",
            b"Transfer-Encoding:\x0bchunked",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: identity, chunked",
            b"Transfer-Encoding: chunked, identity",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            b"Transfer-Encoding: identity",
            b"transfer-encoding: Chunked",
            b"Transfer-Encoding:\r\n chunked",
            b"X: y\nTransfer-Encoding: chunked",
        ]
    )
    length = chance.choice(
        [
            b"Content-Length: %d" % len(chunked),
            b"Content-Length: %d" % (len(chunked) + len(inner)),
            b"Content-Length: 0",
            b"Content-Length: 2\r\nContent-Length: 9",
            b"Content-Length: 2, 9",
            b"Content-Length: +2",
            b"Content-Length: 0x2",
            b"Content-Length: -1",
            b"Content-Length: 1e1",
            b"Content-Length: 18446744073709551618",
            b"Content-Length: 2\0",
            b"Content-Length: ",
            b"Content-Length : 2",
            b"Content-Length: 99999999",
        ]
    )
    lines = chance.choice([[te, length], [length, te], [length], [te]])
    head = request.head[:-2] + b"\r\n".join([*lines, b"", b""])
    # One of the two lengths alone is clear in some forms: then what follows is a request of its own, and rightly so.
    return request.case(head + chunked + inner, answers=1 if te in lines and length in lines else 2)


def _chunking(chance: random.Random, request: _Request) -> Case:
    request.method = b"POST"
    request.drop(b"Content-Length")
    request.headers.append((b"Transfer-Encoding", b"chunked"))
    good_end = b"0\r\n\r\n"
    bodies = [
        b"2\r\n{}\r\n" + good_end,
        b"2;ext=1\r\n{}\r\n" + good_end,
        b"2;" + b"e" * 70_000 + b"\r\n{}\r\n" + good_end,
        b"1\r\n{\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n",
        b"0\r\n" + b"T: x\r\n" * 5000 + b"\r\n",
        b"0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"2\n{}\n0\n\n",
        b"2\r\n{}" + good_end,
        b"2\r\n{}xx\r\n" + good_end,
        b"-2\r\n{}\r\n" + good_end,
        b"+2\r\n{}\r\n" + good_end,
        b"0x2\r\n{}\r\n" + good_end,
        b" 2\r\n{}\r\n" + good_end,
        b"2 \r\n{}\r\n" + good_end,
        b"g\r\n{}\r\n" + good_end,
        b"ffffffffffffffff\r\n{}\r\n" + good_end,
        b"fffffffffffffffff\r\n{}\r\n" + good_end,
        b"40001\r\n" + b" " * 0x40001 + b"\r\n" + good_end,
        b"\r\n" + good_end,
        b"2\r\n{}\r\n",
        b"".join(b"1\r\n \r\n" for _ in range(3000)) + b"2\r\n{}\r\n" + good_end,
        good_end,
    ]
    return request.case(request.head + chance.choice(bodies))


def _pipelining(chance: random.Random, request: _Request) -> Case:
    count = chance.choice([2, 3, 20])
    if chance.random() < 0.5:
        request = _Request(b"GET", chance.choice([b"/livez", b"/v1/sessions?limit=1", b"/nothing"]))
    elif b"stream" in request.target or b"replay" in request.target:
        count = 2
    whole = (request.head + request.body) * count
    return request.case(whole, answers=count, must_answer=True)


def _body(chance: random.Random, request: _Request) -> Case:
    if request.method == b"GET" and chance.random() < 0.7:
        request.method, request.target = b"POST", b"/v1/sessions"
    odd = chance.random()
    body = good(chance) if odd < 0.3 else bad(chance)
    content_type = chance.choice(CONTENT_TYPES) if odd < 0.3 else b"application/json"
    request.set_body(body, content_type)
    if chance.random() < 0.1:
        request.headers.append((b"Content-Encoding", chance.choice([b"gzip", b"br", b"identity"])))
    return request.case(must_answer=True)


def _body_cut(chance: random.Random, request: _Request) -> Case:
    request.method = chance.choice([b"POST", request.method])
    body = bad(chance) or b"{}"
    request.set_body(body)
    sent = body[: chance.randrange(len(body))]
    return request.case(request.head, sent, hang_up=chance.random() < 0.5)


def _query(chance: random.Random, request: _Request) -> Case:
    pairs = [
        chance.choice(PARAMETERS) + "=" + quote(chance.choice(TEXTS), safe="")
        for _ in range(chance.randint(1, 4))
    ]
    raw = "&".join(pairs).encode()
    if chance.random() < 0.3:
        raw += chance.choice([b"&\xff=\xff", b"&after", b"&=", b"&after=1&after=2", b";a=b", b"&%"])
    request.target += b"?" + raw
    if chance.random() < 0.3:
        request.headers.append((b"Last-Event-ID", chance.choice([b"0", b"3", b"99", b"x"])))
    return request.case(must_answer=True)


def _mutated(chance: random.Random, request: _Request) -> Case:
    whole = bytearray(request.head + request.body)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(whole))
        match chance.randrange(4):
            case 0:
                whole[at] = chance.randrange(256)
            case 1:
                whole.insert(at, chance.choice(b"\r\n\0 :%/?{}\xff\t"))
            case 2:
                del whole[at : at + chance.randint(1, 4)]
            case _:
                whole[at:at] = whole[at : at + chance.randint(1, 30)]
        if not whole:
            whole += b"\r\n"
    return request.case(bytes(whole), answers=3)


_KINDS = {
    "request-line": _request_line,
    "wrong-method": _wrong_method,
    "header-flood": _header_flood,
    "header-form": _header_form,
    "last-event-id": _last_event_id,
    "half-sent": _half_sent,
    "slow": _slow,
    "smuggling": _smuggling,
    "chunking": _chunking,
    "pipelining": _pipelining,
    "body": _body,
    "body-cut": _body_cut,
    "query": _query,
    "mutated": _mutated,
}
KINDS = tuple(_KINDS)
