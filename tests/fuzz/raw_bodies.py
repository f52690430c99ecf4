"""Bodies: good ones, and every kind that a JSON reader, a text decoder or a size limit may stumble over."""

import random

import orjson

from holdfast.gateway.limits import BODY_BYTES_MAX
from tests.gateway.http.nasty import FIELDS, TEXTS, VALUES

CONTENT_TYPES = [
    b"text/plain",
    b"application/json; charset=utf-16",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x",
    b"application/json;" * 50,
    b"\xff",
    b"",
]

_STRANGE = [
    b"",
    b" ",
    b"null",
    b"[]",
    b'""',
    b"{",
    b"}",
    b"{}{}",
    b'{"a":1,}',
    b"\xef\xbb\xbf{}",
    '{"metadata":{}}'.encode("utf-16"),
    b"\x1f\x8b\x08\x00",
    b'{"metadata":{"a":"\xff"}}',
    b'{"metadata":{"a":"\xed\xa0\x80"}}',
    rb'{"metadata":{"a":"\ud800"}}',
    rb'{"metadata":{"\udfff":1}}',
    rb'{"metadata":{"a":"\u0000"}}',
    rb'{"session_id":"\u0000"}',
    b'{"metadata":{"a":NaN}}',
    b'{"metadata":{"a":-Infinity}}',
    b'{"metadata":{"a":1e999}}',
    b'{"metadata":{"a":-0.0,"b":1e-400}}',
    b'{"ttl_s":60,"ttl_s":61}',
    b'{"metadata":{"a":1,"\\u0061":2}}',
    b'{"ttl_s":60.0}',
    b'{"ttl_s":1e2}',
    b'{"workflow":"free","start_at":"9999-12-31T23:59:59-23:59"}',
    b'{"workflow":"free","start_at":1e18}',
    b'{"workflow":"free","start_at":-62135596801}',
    b'{"workflow":"free","on_busy":"enqueue\\u0000"}',
    b'{"workflow":"echo","input":{"requirement":""}}',
    b'{"workflow":"__proto__","input":{"__proto__":{}}}',
    b'{"input_id":"i","value":null}',
]


def good(chance: random.Random) -> bytes:
    """Return a body that some route takes."""
    return chance.choice(
        [
            b"{}",
            b'{"workflow":"free","input":{"n":1}}',
            b'{"workflow":"echo","input":{"requirement":"r"},"on_busy":"reject"}',
            b'{"workflow":"free","on_busy":"interrupt"}',
            b'{"reason":"because"}',
            b'{"input_id":"i","value":{"ok":true}}',
            b'{"metadata":{"k":"\xc3\xbc\xf0\x9f\x98\x80"},"ttl_s":60}',
        ]
    )


def bad(chance: random.Random) -> bytes:
    """Return a body that hardly any route takes."""
    return chance.choice([_strange, _strange, _mixed, _deep, _huge_number, _wide, _noise])(chance)


def _strange(chance: random.Random) -> bytes:
    return chance.choice(_STRANGE)


def _mixed(chance: random.Random) -> bytes:
    return orjson.dumps(
        {
            field: chance.choice(TEXTS) if chance.random() < 0.6 else chance.choice(VALUES)
            for field in chance.sample(FIELDS, chance.randrange(5))
        }
    )


def _deep(chance: random.Random) -> bytes:
    depth = chance.choice([30, 31, 32, 33, 1000, 100_000])
    opened, closed = chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
    depth = min(depth, (BODY_BYTES_MAX - 20) // (len(opened) + len(closed)))
    inside = b"1" if opened != b"[" else b""
    return b'{"metadata":' + opened * depth + inside + closed * depth + b"}"


def _huge_number(chance: random.Random) -> bytes:
    digits = b"9" * chance.choice([19, 20, 309, 4299, 4301, 100_000])
    form = chance.choice([b"%b", b"-%b", b"0.%b", b"%b.5", b"1e%b", b"1e-%b"])
    return b'{"metadata":{"a":' + form % digits + b"}}"


def _wide(chance: random.Random) -> bytes:
    size = chance.choice([BODY_BYTES_MAX // 2, BODY_BYTES_MAX - 20, BODY_BYTES_MAX + 1])
    item = chance.choice([b"{}", b"[]", b"1", b'""', b'{"a":"b"}', b'"' + b"x" * 1000 + b'"'])
    return b'{"input":[' + b",".join([item] * (size // (len(item) + 1))) + b"]}"


def _noise(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(1, 200))
