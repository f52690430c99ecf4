"""The console: one page at every path below /console, and the files that it names."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from holdfast.gateway.console.files import File, Files
from holdfast.gateway.problems import Problem

# What the page may do: run and show what comes from here, and ask this gateway. Nothing inline, nothing evaluated, no
# other host, no frame in it or around it, and (trusted types) no string that becomes markup.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

# The outermost layer adds `nosniff` and `no-referrer` to all that the gateway answers.
_PROTECTION = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}

# The page is asked for anew each time (304 while it is the same); what it names never changes.
_PAGE = {"cache-control": "no-cache"}
_ASSET = {"cache-control": "public, max-age=31536000, immutable"}
# While versions roll, the replica beside this one may have it.
_NOT_THERE = {"cache-control": "no-store"}

_READ = ["GET", "HEAD"]


def console_router(files: Files) -> APIRouter:
    """Return the console's routes over `files`."""

    async def to_console() -> Response:
        # The one redirect of the gateway: a person typed its address.
        return RedirectResponse("/console", headers={"cache-control": "no-cache"})

    async def asset(request: Request, name: str) -> Response:
        file = files.asset(name)
        if file is None:
            raise Problem(404, "not-found", "the console has no such file", headers=_NOT_THERE)
        return _answer(request, file, _ASSET)

    async def page(request: Request) -> Response:
        file = files.page()
        if file is None:
            raise Problem(404, "not-found", "this installation has no console")
        return _answer(request, file, _PAGE)

    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", to_console, methods=_READ)
    router.add_api_route("/console/assets/{name:path}", asset, methods=_READ)
    # A session's id may look like a file's name, so every other path is the page: it knows what the path means.
    router.add_api_route("/console", page, methods=_READ)
    router.add_api_route("/console/{path:path}", page, methods=_READ)
    return router


def _answer(request: Request, file: File, caching: Mapping[str, str]) -> Response:
    headers = {
        **_PROTECTION,
        **caching,
        "content-type": file.media_type,
        "etag": file.etag,
        "vary": "accept-encoding",
    }
    if _has(request.headers.get("if-none-match", ""), file.etag):
        return Response(status_code=304, headers=headers)
    content = file.content
    if file.packed is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
        content = file.packed
        headers["content-encoding"] = "gzip"
    # The length is the file's for HEAD as well; the server below sends no body then.
    return Response(content, headers=headers)


def _has(if_none_match: str, etag: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def _takes_gzip(accept_encoding: str) -> bool:
    for part in accept_encoding.lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
