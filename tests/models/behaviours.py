"""How a provider may answer: well, badly, late, in part, or not at all. Each writes real bytes."""

import asyncio
from typing import Any

from tests.models.openai_server import Behaviour, Exchange


def normal(*texts: str) -> Behaviour:
    async def behave(x: Exchange) -> None:
        await x.head()
        await x.words(texts or ("Hello", ", ", "world"))
        await x.packet({}, "stop")
        await x.usage()
        await x.done()

    return behave


async def thinking_first(x: Exchange) -> None:
    await x.head()
    await x.packet({"role": "assistant", "reasoning_content": "Hm"})
    await x.packet({"reasoning": "m."})
    await x.packet({"content": "Yes"}, "stop")
    await x.done()


async def tool_calls(x: Exchange) -> None:
    def piece(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        name = {"name": more.pop("name")} if "name" in more else {}
        call = {"index": index, **more, "function": {**name, "arguments": arguments}}
        return {"tool_calls": [call]}

    await x.head()
    await x.packet({"role": "assistant", "content": None})
    await x.packet(piece(0, "", id="call_a", type="function", name="weather"))
    await x.packet(piece(0, '{"city": '))
    await x.packet(piece(0, '"Bern"}'))
    await x.packet(piece(1, "{}", id="call_b", type="function", name="time"))
    await x.packet({}, "tool_calls")
    await x.usage()
    await x.done()


def status(
    code: int, message: str = "nope", *, error_code: str | None = None, **h: str
) -> Behaviour:
    async def behave(x: Exchange) -> None:
        await x.json(code, {"error": {"message": message, "type": "t", "code": error_code}}, **h)

    return behave


async def repeats_the_key(x: Exchange) -> None:
    await x.json(401, {"error": {"message": f"bad key: {x.headers['authorization']}"}})


async def refuses_stream_options(x: Exchange) -> None:
    if "stream_options" in x.body:
        await x.json(400, {"error": {"message": "Unknown field: stream_options"}})
    else:
        await normal()(x)


async def invalid_json(x: Exchange) -> None:
    await x.head()
    await x.words(["Hello"])
    await x.raw('data: {"choices": [{"delta": \n\n')
    await x.disconnected.wait()


async def web_page(x: Exchange) -> None:
    await x.head(200, "text/html", chunked=False, content_length="13")
    await x.raw("<html></html>", chunked=False)


async def silent(x: Exchange) -> None:
    """Take the request and never answer."""
    await x.disconnected.wait()


async def stalls_before_first_token(x: Exchange) -> None:
    await x.head()
    await x.packet({"role": "assistant", "content": ""})
    while not x.disconnected.is_set():
        # A keep-alive is no token, be it a comment or an empty packet.
        await x.raw(": still there\n\n")
        await x.packet({"content": ""})
        await asyncio.sleep(0.02)


def stalls_between_tokens(*texts: str) -> Behaviour:
    async def behave(x: Exchange) -> None:
        await x.head()
        await x.words(texts or ("Hello",))
        await x.disconnected.wait()

    return behave


def slow(*texts: str, pause_s: float) -> Behaviour:
    async def behave(x: Exchange) -> None:
        await x.head()
        for text in texts:
            await x.packet({"content": text})
            await asyncio.sleep(pause_s)
        await x.packet({}, "stop")
        await x.done()

    return behave


async def odd(x: Exchange) -> None:
    """Answer as sloppy servers do: no index, an object for JSON text, counts that are no numbers."""
    call = {"id": "call_a", "function": {"name": "weather", "arguments": {"city": "Bern"}}}
    await x.head()
    await x.data({"choices": []})
    await x.data({"choices": [{}]})
    await x.data({"choices": [{"delta": None}]})
    await x.packet({"tool_calls": [call]}, "tool_calls")
    await x.data({"choices": [], "usage": {"prompt_tokens": "many", "total_tokens": 3}})
    await x.done()


async def stalls_before_usage(x: Exchange) -> None:
    await x.head()
    await x.words(["Hello"])
    await x.packet({}, "stop")
    await x.disconnected.wait()


def cut(*texts: str, clean: bool) -> Behaviour:
    """End the body early: `clean`, which HTTP can't tell from an end, or in a broken chunk."""

    async def behave(x: Exchange) -> None:
        await x.head(chunked=not clean)
        await x.words(texts, chunked=not clean)

    return behave


async def hangs_up(x: Exchange) -> None:
    """Close the connection without a single byte."""


async def done_without_finish_reason(x: Exchange) -> None:
    await x.head()
    await x.words(["Hello"])
    await x.done()


def error_inside(error: dict[str, Any], *texts: str) -> Behaviour:
    async def behave(x: Exchange) -> None:
        await x.head()
        await x.words(texts)
        await x.data({"error": error})
        await x.disconnected.wait()

    return behave
